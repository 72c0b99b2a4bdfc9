//! The chat: one room, a guard before the handshake, and connections that close when their session
//! ends.

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
use portcullis::{Auth, Claims, ErrorKind, User, user::UserId};
use serde_json::json;
use tokio::{
    sync::broadcast::{Sender, error::RecvError},
    time::{Instant, sleep_until},
};

use crate::axum_app::page;

/// Close code of a connection whose session has ended or whose token has expired. The reason is the
/// code that refuses a request. Codes from 4000 are for applications (RFC 6455 §7.4.2); HTTP
/// answers 401.
const UNAUTHORIZED: u16 = 4401;

/// Longest wait for a client that does not read the close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

const MAX_MESSAGE: usize = 4 * 1024;

/// Largest number of connections of a user: a few tabs and devices. One more is refused with 429.
const MAX_SOCKETS: usize = 8;

/// Time between two messages of one connection. A client that sends faster is read at this pace.
const PACE: Duration = Duration::from_millis(100);

#[derive(Clone)]
struct Chat {
    auth: Auth<User>,
    room: Sender<String>,
    open: Arc<Mutex<HashMap<UserId, usize>>>,
}

/// `GET /chat` with its script, and the socket behind its guard.
///
/// Programs send `Authorization: Bearer` with the handshake, browsers their cookie. The guard
/// admits a cookie from the page's own origin only.
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
    // A frame is buffered until it is whole, so its size is limited too.
    let upgrade = upgrade.max_message_size(MAX_MESSAGE).max_frame_size(MAX_MESSAGE);
    upgrade.on_upgrade(async move |socket| {
        chat.serve(socket, claims).await;
        drop(seat);
    })
}

/// One of the connections that a user may have. It is given back when dropped, also after a failed
/// handshake.
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
        // Ends the conversation even in the middle of a send: a client that does not read cannot
        // stay.
        tokio::select! {
            biased;
            why = self.auth.until_ended(&claims) => close(socket, why).await,
            () = self.talk(&mut socket, &claims) => {}
        }
    }

    /// Serves the client until it hangs up.
    async fn talk(&self, socket: &mut WebSocket, claims: &Claims) {
        let mut said = self.room.subscribe();
        let mut next = Instant::now();
        loop {
            // Messages that are not read yet wait at the client.
            let paced = async {
                sleep_until(next).await;
                socket.recv().await
            };
            tokio::select! {
                message = paced => {
                    match message {
                        Some(Ok(Message::Text(text))) => {
                            let message = json!({ "from": claims.subject().as_str(), "text": text.as_str() });
                            // Cannot fail: at least this client listens.
                            let _ = self.room.send(message.to_string());
                        }
                        Some(Ok(_)) => {}
                        Some(Err(_)) | None => return,
                    }
                    next = Instant::now() + PACE;
                }
                message = said.recv() => match message {
                    Ok(text) => if socket.send(Message::text(text)).await.is_err() { return },
                    // A client that reads too slowly misses messages.
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
