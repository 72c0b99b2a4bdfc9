//! A wire between a store and its server that counts, and that can be cut.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::AbortHandle,
};

pub(crate) struct Proxy {
    addr: SocketAddr,
    wire: Arc<Wire>,
    task: AbortHandle,
}

struct Wire {
    server: SocketAddr,
    /// How often a client asked after it had been answered.
    trips: AtomicUsize,
    /// Whether the next answer is lost with its connection.
    losing: AtomicBool,
    /// Whether new connections are refused.
    down: AtomicBool,
    fates: watch::Sender<Fate>,
}

/// What happens to the connections that there are.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Fate {
    #[default]
    Cut,
    Silent,
}

impl Proxy {
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let wire = Arc::new(Wire {
            server,
            trips: AtomicUsize::default(),
            losing: AtomicBool::default(),
            down: AtomicBool::default(),
            fates: watch::Sender::default(),
        });
        let accepting = Arc::clone(&wire);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if !accepting.down.load(Ordering::SeqCst) {
                    let wire = Arc::clone(&accepting);
                    tokio::spawn(async move { wire.carry(client).await });
                }
            }
        });
        Self { addr, wire, task: task.abort_handle() }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}/", self.addr)
    }

    /// How many round trips there were since the last time this was asked.
    pub(crate) fn take_trips(&self) -> usize {
        self.wire.trips.swap(0, Ordering::SeqCst)
    }

    /// Cuts every connection; new ones are made.
    pub(crate) fn cut(&self) {
        self.wire.fates.send_replace(Fate::Cut);
    }

    /// Carries nothing more on the connections that there are, as if the other end had vanished; new ones are good.
    pub(crate) fn fall_silent(&self) {
        self.wire.fates.send_replace(Fate::Silent);
    }

    /// Lets the next question through, and cuts the connection in the place of an answer.
    pub(crate) fn lose_next_answer(&self) {
        self.wire.losing.store(true, Ordering::SeqCst);
    }

    /// Cuts every connection, and any new one at once.
    pub(crate) fn go_down(&self, down: bool) {
        self.wire.down.store(down, Ordering::SeqCst);
        self.cut();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

impl Wire {
    async fn carry(&self, mut client: TcpStream) {
        let Ok(mut server) = TcpStream::connect(self.server).await else { return };
        let mut fates = self.fates.subscribe();
        let (mut asked, mut question, mut answer) = (false, vec![0; 65_536], vec![0; 65_536]);
        loop {
            tokio::select! {
                read = client.read(&mut question) => {
                    let Some(len) = read.ok().filter(|len| *len > 0) else { return };
                    self.trips.fetch_add(usize::from(!asked), Ordering::SeqCst);
                    asked = true;
                    if server.write_all(&question[..len]).await.is_err() { return }
                }
                read = server.read(&mut answer) => {
                    let Some(len) = read.ok().filter(|len| *len > 0) else { return };
                    asked = false;
                    if self.losing.swap(false, Ordering::SeqCst) { return }
                    if client.write_all(&answer[..len]).await.is_err() { return }
                }
                _ = fates.changed() => {
                    while *fates.borrow_and_update() == Fate::Silent {
                        if fates.changed().await.is_err() { return }
                    }
                    return;
                }
            }
        }
    }
}
