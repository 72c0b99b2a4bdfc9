//! A proxy on the loopback between a store and its server. It passes bytes on, closes connections,
//! falls silent, cuts one flight, and counts round trips. A flight is what one side sends before
//! the other one answers.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{AbortHandle, JoinSet},
};

/// What becomes of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Everything passes.
    Pass,
    /// Open connections are closed, and new ones at once.
    Refuse,
    /// Connections stay open and nothing passes. Those that are open now stay silent for ever, as
    /// behind a router that forgot them.
    Hang,
    /// The flight of this number, counted from now, is cut with its connection: before the server
    /// gets it, or after the server has answered it. Everything else passes.
    CutAt { flight: usize, delivered: bool },
    /// Each question is lost with its connection.
    LoseQuestions,
    /// Each question arrives, and the answer is lost with the connection.
    LoseAnswers,
}

#[derive(Clone, Copy)]
struct State {
    mode: Mode,
    /// How often all connections were closed, and how often all of them fell silent.
    cuts: u32,
    holes: u32,
}

struct Shared {
    upstream: Mutex<SocketAddr>,
    state: watch::Sender<State>,
    flights: AtomicUsize,
    questions: AtomicUsize,
    fired: AtomicBool,
    last_byte: Mutex<Instant>,
}

impl Shared {
    fn mode(&self) -> Mode {
        self.state.borrow().mode
    }
}

/// A proxy on a port of its own. It ends with this value.
pub(crate) struct Proxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    task: AbortHandle,
}

impl Proxy {
    /// Starts a proxy to this port of the loopback.
    pub(crate) async fn start(upstream_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            upstream: Mutex::new(([127, 0, 0, 1], upstream_port).into()),
            state: watch::Sender::new(State { mode: Mode::Pass, cuts: 0, holes: 0 }),
            flights: AtomicUsize::new(0),
            questions: AtomicUsize::new(0),
            fired: AtomicBool::new(false),
            last_byte: Mutex::new(Instant::now()),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared))).abort_handle();
        Self { addr, shared, task }
    }

    /// Leads new connections to another port. Open ones stay where they are.
    pub(crate) fn lead_to(&self, upstream_port: u16) {
        *self.shared.upstream.lock().unwrap() = ([127, 0, 0, 1], upstream_port).into();
    }

    /// Returns the port that the store connects to.
    pub(crate) fn port(&self) -> u16 {
        self.addr.port()
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.shared.fired.store(false, Ordering::SeqCst);
        self.shared.flights.store(0, Ordering::SeqCst);
        self.shared.state.send_modify(|state| {
            state.cuts += u32::from(mode == Mode::Refuse);
            state.holes += u32::from(mode == Mode::Hang);
            state.mode = mode;
        });
    }

    /// Closes every connection. New ones pass.
    pub(crate) fn cut(&self) {
        self.shared.state.send_modify(|state| state.cuts += 1);
    }

    /// Makes open connections silent. New ones pass.
    pub(crate) fn fall_silent(&self) {
        self.set(Mode::Hang);
        self.set(Mode::Pass);
    }

    /// Lets the next question through, and closes the connection in place of its answer.
    pub(crate) fn lose_next_answer(&self) {
        self.set(Mode::CutAt { flight: 0, delivered: true });
    }

    /// Returns whether the flight of [`Mode::CutAt`] has come.
    pub(crate) fn fired(&self) -> bool {
        self.shared.fired.load(Ordering::SeqCst)
    }

    /// Returns the number of round trips since the last call.
    ///
    /// Flights of five bytes do not count. A pool of PostgreSQL tests a connection with one
    /// (`Sync`) after it was given back, when no caller waits.
    pub(crate) fn take_round_trips(&self) -> usize {
        self.shared.questions.swap(0, Ordering::SeqCst)
    }

    /// Waits until no byte has passed for a moment. Pools test connections after they were given
    /// back.
    pub(crate) async fn quiet(&self) {
        while self.shared.last_byte.lock().unwrap().elapsed() < Duration::from_millis(25) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // The connections end with this task.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if let Ok((client, _)) = listener.accept().await {
            connections.spawn(serve(client, Arc::clone(&shared)));
        }
    }
}

async fn serve(mut client: TcpStream, shared: Arc<Shared>) {
    let mut state = shared.state.subscribe();
    let began = *state.borrow_and_update();
    match began.mode {
        Mode::Refuse => return,
        Mode::Hang => return silent(client).await,
        Mode::Pass | Mode::CutAt { .. } | Mode::LoseQuestions | Mode::LoseAnswers => {}
    }
    let upstream = *shared.upstream.lock().unwrap();
    let Ok(mut server) = TcpStream::connect(upstream).await else { return };
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let (mut up, mut down) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
    // Whether the client sent last. What it sends next belongs to the same flight then.
    let mut asking = false;
    loop {
        tokio::select! {
            biased;
            changed = state.changed() => {
                let now = *state.borrow_and_update();
                if now.holes != began.holes {
                    return silent(client).await;
                }
                if changed.is_err() || now.cuts != began.cuts {
                    return;
                }
            }
            read = server.read(&mut down) => {
                let Ok(length @ 1..) = read else { return };
                if matches!(shared.mode(), Mode::LoseQuestions | Mode::LoseAnswers) {
                    return;
                }
                asking = false;
                *shared.last_byte.lock().unwrap() = Instant::now();
                if client.write_all(&down[..length]).await.is_err() {
                    return;
                }
            }
            read = client.read(&mut up) => {
                let Ok(length @ 1..) = read else { return };
                if shared.mode() == Mode::LoseQuestions {
                    return;
                }
                *shared.last_byte.lock().unwrap() = Instant::now();
                let new = !asking;
                if new && length > 5 {
                    shared.questions.fetch_add(1, Ordering::SeqCst);
                }
                let cut = if new { is_cut(&shared, shared.flights.fetch_add(1, Ordering::SeqCst)) } else { None };
                asking = true;
                if cut == Some(false) {
                    return;
                }
                if server.write_all(&up[..length]).await.is_err() {
                    return;
                }
                if cut == Some(true) {
                    // The answer shows that the work is done. It is not passed on.
                    let _ = server.read(&mut down).await;
                    return;
                }
            }
        }
    }
}

/// Returns `None` unless the flight is the one to cut, and otherwise whether the server gets it.
fn is_cut(shared: &Shared, number: usize) -> Option<bool> {
    match shared.mode() {
        Mode::CutAt { flight, delivered } if flight == number && !shared.fired.swap(true, Ordering::SeqCst) => {
            Some(delivered)
        }
        _ => None,
    }
}

/// Reads and answers nothing.
async fn silent(mut client: TcpStream) {
    let mut nothing = vec![0; 1024];
    while matches!(client.read(&mut nothing).await, Ok(1..)) {}
}
