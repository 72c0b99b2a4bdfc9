//! A proxy on the loopback that cuts what goes through it.

use std::net::SocketAddr;

use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    sync::watch,
};

use super::server::PATIENT;

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

    /// Through the proxy alone: a replica set names its members, which clients would go to.
    pub(super) fn uri(&self) -> String {
        format!("mongodb://{}/?directConnection=true&{PATIENT}", self.addr)
    }
}

/// Until a mode cuts it.
async fn relay(client: TcpStream, to: SocketAddr, mode: watch::Receiver<Mode>) -> Option<()> {
    let server = TcpStream::connect(to).await.ok()?;
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    let (requests, answers) = (mode.clone(), mode);
    let mut there = tokio::spawn(async move {
        let mut buffer = vec![0; 65_536];
        loop {
            let n = from_client.read(&mut buffer).await.ok().filter(|n| *n > 0)?;
            if *requests.borrow() == Mode::CutRequests {
                return None::<()>;
            }
            tokio::io::AsyncWriteExt::write_all(&mut to_server, &buffer[..n]).await.ok()?;
        }
    });
    let mut back = tokio::spawn(async move {
        let mut buffer = vec![0; 65_536];
        loop {
            let n = from_server.read(&mut buffer).await.ok().filter(|n| *n > 0)?;
            if *answers.borrow() != Mode::Pass {
                return None::<()>;
            }
            tokio::io::AsyncWriteExt::write_all(&mut to_client, &buffer[..n]).await.ok()?;
        }
    });
    tokio::select! { _ = &mut there => back.abort(), _ = &mut back => there.abort() }
    None
}
