//! The services: one for all clients, and one for logged-in users.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::{
    FutureExt, StreamExt,
    stream::{self, PollNext, Stream},
};
use portcullis::{Auth, Claims, ErrorKind, User};
use tokio::sync::broadcast::Sender;
use tokio_stream::wrappers::BroadcastStream;
use tonic::{Request, Response, Status};

use self::proto::{
    AddRequest, ClearReply, ClearRequest, DescribeReply, DescribeRequest, Note, WatchRequest, info_server, notes_server,
};

/// The code that `build.rs` generates from `proto/notes.proto`.
#[allow(clippy::pedantic, reason = "it is generated")]
pub(crate) mod proto {
    tonic::include_proto!("notes.v1");
}

/// Largest number of notes. An admin clears them.
const MAX_NOTES: usize = 1000;

/// Largest size of a note in bytes. tonic accepts messages of 4 MiB.
const MAX_TEXT: usize = 4 * 1024;

/// The notes, and the channel of those who watch them.
#[derive(Clone)]
pub(crate) struct Notebook {
    notes: Arc<Mutex<Vec<Note>>>,
    added: Sender<Note>,
}

impl Notebook {
    pub(crate) fn new() -> Self {
        Self { notes: Arc::default(), added: Sender::new(64) }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Vec<Note>) -> T) -> T {
        work(&mut self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, note: Note) -> Result<(), Status> {
        if note.text.len() > MAX_TEXT {
            return Err(Status::invalid_argument(format!("A note has {MAX_TEXT} bytes at most")));
        }
        self.with(|notes| {
            if notes.len() >= MAX_NOTES {
                return Err(Status::resource_exhausted("There is no room for another note"));
            }
            notes.push(note);
            Ok(())
        })
    }

    fn count(&self) -> u64 {
        self.with(|notes| notes.len() as u64)
    }
}

/// The service without a guard.
pub(crate) struct Info {
    notebook: Notebook,
}

impl Info {
    pub(crate) fn new(notebook: &Notebook) -> Self {
        Self { notebook: notebook.clone() }
    }
}

#[tonic::async_trait]
impl info_server::Info for Info {
    async fn describe(&self, _: Request<DescribeRequest>) -> Result<Response<DescribeReply>, Status> {
        Ok(Response::new(DescribeReply { notes: self.notebook.count() }))
    }
}

/// The service behind `auth.require()`, so that every request has [`Claims`].
pub(crate) struct Notes {
    auth: Auth<User>,
    notebook: Notebook,
}

impl Notes {
    pub(crate) fn new(auth: Auth<User>, notebook: Notebook) -> Self {
        Self { auth, notebook }
    }
}

#[tonic::async_trait]
impl notes_server::Notes for Notes {
    async fn add(&self, request: Request<AddRequest>) -> Result<Response<Note>, Status> {
        let by = claims(&request)?.subject().to_string();
        let note = Note { by, text: request.into_inner().text };
        self.notebook.add(note.clone())?;
        // It is no failure if no client watches.
        let _ = self.notebook.added.send(note.clone());
        Ok(Response::new(note))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<Note, Status>> + Send>>;

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let over = self.auth.until_ended(claims(&request)?).map(|why| Err(refusal(why)));
        // A client that reads too slowly misses notes.
        let notes =
            BroadcastStream::new(self.notebook.added.subscribe()).filter_map(|note| async { note.ok().map(Ok) });
        // Checks for the end first each time, so that no note comes after it. A stream of tonic
        // ends with its first failure.
        let end_first = |(): &mut ()| PollNext::Left;
        Ok(Response::new(stream::select_with_strategy(stream::once(over), notes, end_first).boxed()))
    }

    async fn clear(&self, request: Request<ClearRequest>) -> Result<Response<ClearReply>, Status> {
        // One method requires more than the guard of its service.
        if !claims(&request)?.has_role("admin") {
            return Err(refusal(ErrorKind::InsufficientRole));
        }
        let cleared = self.notebook.with(std::mem::take).len() as u64;
        Ok(Response::new(ClearReply { cleared }))
    }
}

fn claims<T>(request: &Request<T>) -> Result<&Claims, Status> {
    request.extensions().get().ok_or_else(|| Status::internal("the service stands behind no guard"))
}

/// Refuses as the guard does.
fn refusal(why: ErrorKind) -> Status {
    match why {
        ErrorKind::InsufficientRole => Status::permission_denied(why.message()),
        _ => Status::unauthenticated(why.message()),
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[test]
    fn there_is_room_for_so_many_notes_and_no_more() {
        let notebook = Notebook::new();
        let added = (0..=MAX_NOTES).map(|_| notebook.add(Note::default()).map_err(|status| status.code()));
        assert_eq!(added.filter(|added| *added == Err(Code::ResourceExhausted)).count(), 1);
        assert_eq!(notebook.count(), MAX_NOTES as u64);
    }
}
