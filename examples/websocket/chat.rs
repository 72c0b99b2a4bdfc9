//! The chat: one room, a guard before the handshake, and connections that are closed when their session ends.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    extract::{
        State,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade},
    },
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use portcullis::{Auth, Claims, ErrorKind, User, UserId};
use serde_json::json;
use tokio::{
    sync::broadcast::{Sender, error::RecvError},
    time::{Instant, sleep_until},
};

use crate::axum_app::page;

/// The close code of a connection whose session or token has ended; its reason is the code that a request would be refused
/// with. 4000 and above are an application's own (RFC 6455 §7.4.2), and 401 is what HTTP would have said.
const UNAUTHORIZED: u16 = 4401;

/// What a client that no longer reads may keep waiting.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

const MAX_MESSAGE: usize = 4 * 1024;

/// How many connections a user may have: a handful of tabs and devices. One more is refused with 429.
const MAX_SOCKETS: usize = 8;

/// How far apart the messages of one connection are: whoever sends faster is read at this pace.
const PACE: Duration = Duration::from_millis(100);

#[derive(Clone)]
struct Chat {
    auth: Auth<User>,
    room: Sender<String>,
    open: Arc<Mutex<HashMap<UserId, usize>>>,
}

/// `GET /chat` with its script, and the socket behind its guard.
///
/// Programs send `Authorization: Bearer` with the handshake, browsers their cookie; the guard lets a cookie in from the
/// page's own origin alone.
pub(crate) fn router(auth: Auth<User>) -> Router {
    let socket = Router::new().route("/chat/socket", get(connect)).route_layer(auth.require());
    Router::new()
        .route("/chat", page::file("text/html; charset=utf-8", include_str!("chat.html")))
        .route("/chat/chat.js", page::file("text/javascript; charset=utf-8", include_str!("chat.js")))
        .merge(socket)
        .with_state(Chat { auth, room: Sender::new(64), open: Arc::default() })
}

async fn connect(State(chat): State<Chat>, claims: Claims, upgrade: WebSocketUpgrade) -> Response {
    let Some(seat) = Seat::take(&chat.open, claims.subject()) else {
        return (StatusCode::TOO_MANY_REQUESTS, "You have too many chats open").into_response();
    };
    // A frame is kept until it is whole, so it is bounded as well.
    let upgrade = upgrade.max_message_size(MAX_MESSAGE).max_frame_size(MAX_MESSAGE);
    upgrade.on_upgrade(async move |socket| {
        chat.serve(socket, claims).await;
        drop(seat);
    })
}

/// One of the connections that a user may have, until it is dropped: also where the handshake comes to nothing.
struct Seat {
    open: Arc<Mutex<HashMap<UserId, usize>>>,
    user: UserId,
}

impl Seat {
    fn take(open: &Arc<Mutex<HashMap<UserId, usize>>>, user: &UserId) -> Option<Self> {
        let mut all = open.lock().unwrap_or_else(PoisonError::into_inner);
        if all.get(user).is_some_and(|count| *count >= MAX_SOCKETS) {
            return None;
        }
        *all.entry(user.clone()).or_default() += 1;
        Some(Self { open: open.clone(), user: user.clone() })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut all = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.user);
            }
        }
    }
}

impl Chat {
    async fn serve(self, mut socket: WebSocket, claims: Claims) {
        // The whole conversation is given up, in the middle of a send as well: a client that does not read stays no longer.
        tokio::select! {
            biased;
            why = self.auth.until_ended(&claims) => close(socket, why).await,
            () = self.talk(&mut socket, &claims) => {}
        }
    }

    /// Until the client hangs up.
    async fn talk(&self, socket: &mut WebSocket, claims: &Claims) {
        let mut said = self.room.subscribe();
        let mut next = Instant::now();
        loop {
            // What is not read yet waits with the client.
            let paced = async {
                sleep_until(next).await;
                socket.recv().await
            };
            tokio::select! {
                message = paced => {
                    match message {
                        Some(Ok(Message::Text(text))) => {
                            let message = json!({ "from": claims.subject().as_str(), "text": text.as_str() });
                            // At least this client listens.
                            let _ = self.room.send(message.to_string());
                        }
                        Some(Ok(_)) => {}
                        Some(Err(_)) | None => return,
                    }
                    next = Instant::now() + PACE;
                }
                message = said.recv() => match message {
                    Ok(text) => if socket.send(Message::text(text)).await.is_err() { return },
                    // Who reads too slowly misses something.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                },
            }
        }
    }
}

async fn close(mut socket: WebSocket, why: ErrorKind) {
    let frame = CloseFrame { code: UNAUTHORIZED, reason: why.code().into() };
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, socket.send(Message::Close(Some(frame)))).await;
}
