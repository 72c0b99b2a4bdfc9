//! The chat: one room, a guard before the handshake, and connections that are closed when their session ends.

use std::time::Duration;

use axum::{
    Router,
    extract::{
        State,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade},
    },
    response::Response,
    routing::get,
};
use portcullis::{Auth, Claims, ErrorKind, User};
use serde_json::json;
use tokio::sync::broadcast::{Sender, error::RecvError};

use crate::axum_app::page;

/// The close code of a connection whose session or token has ended; its reason is the code that a request would be refused
/// with. 4000 and above are an application's own (RFC 6455 §7.4.2), and 401 is what HTTP would have said.
const UNAUTHORIZED: u16 = 4401;

/// What a client that no longer reads may keep waiting.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

const MAX_MESSAGE: usize = 4 * 1024;

#[derive(Clone)]
struct Chat {
    auth: Auth<User>,
    room: Sender<String>,
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
        .with_state(Chat { auth, room: Sender::new(64) })
}

async fn connect(State(chat): State<Chat>, claims: Claims, upgrade: WebSocketUpgrade) -> Response {
    // A frame is kept until it is whole, so it is bounded as well.
    let upgrade = upgrade.max_message_size(MAX_MESSAGE).max_frame_size(MAX_MESSAGE);
    upgrade.on_upgrade(move |socket| chat.serve(socket, claims))
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
        loop {
            tokio::select! {
                message = socket.recv() => match message {
                    Some(Ok(Message::Text(text))) => {
                        let message = json!({ "from": claims.subject().as_str(), "text": text.as_str() });
                        // At least this client listens.
                        let _ = self.room.send(message.to_string());
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return,
                },
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
