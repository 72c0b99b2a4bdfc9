//! A proxy on the loopback that cuts what goes through it.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

use super::server::uri_at;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Pass,
    /// What clients send is lost.
    CutRequests,
    /// What clients send arrives, and the answer is lost.
    CutAnswers,
}

pub(super) struct Proxy {
    addr: SocketAddr,
    mode: watch::Sender<Mode>,
}

impl Proxy {
    pub(super) async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (mode, seen) = watch::channel(Mode::Pass);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, to, seen.clone()));
            }
        });
        Self { addr, mode }
    }

    pub(super) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    pub(super) fn uri(&self) -> String {
        uri_at(self.addr)
    }
}

/// Until a mode cuts it.
async fn relay(client: TcpStream, to: SocketAddr, mode: watch::Receiver<Mode>) {
    let Ok(server) = TcpStream::connect(to).await else { return };
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let (requests, answers) = (mode.clone(), mode);
    tokio::select! {
        _ = pump(from_client, to_server, || *requests.borrow() == Mode::CutRequests) => {}
        _ = pump(from_server, to_client, || *answers.borrow() != Mode::Pass) => {}
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, is_cut: impl Fn() -> bool) -> Option<()> {
    let mut buffer = vec![0; 65_536];
    loop {
        let n = from.read(&mut buffer).await.ok().filter(|n| *n > 0)?;
        if is_cut() {
            return None;
        }
        to.write_all(buffer.get(..n)?).await.ok()?;
    }
}
