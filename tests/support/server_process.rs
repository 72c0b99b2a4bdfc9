//! A server program, in a directory and on a port of its own.

use std::{
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{process::free_port, temp_dir::TempDir};

/// Returns the command of a server that listens on this port and keeps its files in this directory.
type CommandFn = dyn Fn(u16, &Path) -> Command + Send + Sync;

/// A running server. The process and its directory end with this value.
pub(crate) struct ServerProcess {
    child: Child,
    port: u16,
    directory: TempDir,
    command: Box<CommandFn>,
}

impl ServerProcess {
    /// Starts the command that listens on this port and keeps its files in this directory. Does not
    /// wait until the server listens.
    pub(crate) fn start(command: impl Fn(u16, &Path) -> Command + Send + Sync + 'static) -> Self {
        let (port, directory) = (free_port(), TempDir::new());
        let child = spawn(command(port, directory.path()));
        Self { child, port, directory, command: Box::new(command) }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns whether the server accepts connections. Panics if its process has ended.
    pub(crate) fn is_listening(&mut self) -> bool {
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "the server ended at once: {ended:?}");
        TcpStream::connect(self.addr()).is_ok()
    }

    /// Waits until the server accepts connections.
    pub(crate) fn wait(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.is_listening() {
            assert!(Instant::now() < deadline, "the server does not listen");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends a signal such as `-STOP` to the process.
    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.id().to_string()]).status();
        assert!(sent.unwrap().success(), "{signal} cannot be sent");
    }

    /// Ends the process without a warning, as a power cut does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts the process again on the same port, over the same files.
    pub(crate) fn start_again(&mut self) {
        self.child = spawn((self.command)(self.port, self.directory.path()));
    }
}

fn spawn(mut command: Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap_or_else(|error| panic!("{} does not start: {error}", command.get_program().display()))
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
