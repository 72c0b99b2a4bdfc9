//! Connections of the chat: valid tokens open them, and they close when their sessions end.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::HandshakeError;
use tungstenite::http::{HeaderName, HeaderValue, Response};
use tungstenite::{Error, Message, WebSocket};

use crate::browser::Browser;
use crate::server::{Launch, PASSWORD, Server, WEBSOCKET, poll_until};

/// For a test that would wait for ever.
const TIMEOUT: Duration = Duration::from_secs(60);

struct Chat(WebSocket<TcpStream>);

/// The answer to a handshake that was not let in.
type Refusal = Box<Response<Option<Vec<u8>>>>;

/// Shakes hands with these headers.
#[track_caller]
fn connect(server: &Server, headers: &[(&str, &str)]) -> Result<Chat, Refusal> {
    let url = format!("ws://{}/chat/socket", server.host());
    let mut request = url.into_client_request().expect("an address");
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        request.headers_mut().append(name, HeaderValue::from_str(value).expect("a value"));
    }
    let stream = TcpStream::connect(server.addr).expect("the server listens");
    stream.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
    match tungstenite::client(request, stream) {
        Ok((socket, _)) => Ok(Chat(socket)),
        Err(HandshakeError::Failure(Error::Http(refusal))) => Err(refusal),
        Err(error) => panic!("{error}"),
    }
}

/// As a page of the server itself does.
#[track_caller]
fn open(server: &Server, browser: &Browser) -> Chat {
    let cookie = format!("access_token={}", browser.access());
    let origin = format!("http://{}", server.host());
    connect(server, &[("Cookie", &cookie), ("Origin", &origin), ("Sec-Fetch-Site", "same-origin")])
        .unwrap_or_else(|refusal| panic!("{refusal:?}"))
}

impl Chat {
    #[track_caller]
    fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).expect("it is open");
    }

    #[track_caller]
    fn hear(&mut self) -> Value {
        let message = self.0.read().expect("it is open").into_text().expect("a text");
        serde_json::from_str(&message).expect("JSON")
    }

    #[track_caller]
    fn hear_until(&mut self, text: &str) {
        while self.hear()["text"] != text {}
    }

    /// Waits until the server closes, and returns its code and reason.
    #[track_caller]
    fn closed(mut self) -> (u16, String) {
        match self.0.read() {
            Ok(Message::Close(Some(frame))) => (frame.code.into(), frame.reason.as_str().to_owned()),
            other => panic!("{other:?}"),
        }
    }
}

#[track_caller]
fn refused(attempt: Result<Chat, Refusal>, status: u16, code: &str) {
    let Err(refusal) = attempt else { panic!("it was let in") };
    let body: Value = serde_json::from_slice(refusal.body().as_deref().unwrap_or_default()).unwrap_or_default();
    assert_eq!((refusal.status().as_u16(), body["code"].as_str()), (status, Some(code)), "{refusal:?}");
    assert_eq!(refusal.headers().contains_key("WWW-Authenticate"), status == 401);
}

#[test]
fn a_handshake_needs_a_good_token_and_a_browsers_its_own_origin() {
    let server = Launch::new(WEBSOCKET).start();
    let mut browser = server.register("lovelace");
    let bearer = format!("Bearer {}", browser.access());
    let cookie = format!("access_token={}", browser.access());

    refused(connect(&server, &[]), 401, "token_missing");
    refused(connect(&server, &[("Authorization", "Bearer nonsense")]), 401, "token_invalid");
    let evil = ("Origin", "https://evil.example");
    refused(connect(&server, &[("Cookie", &cookie), evil]), 403, "cross_site");
    let cross_site = ("Sec-Fetch-Site", "cross-site");
    refused(connect(&server, &[("Cookie", &cookie), evil, cross_site]), 403, "cross_site");
    refused(connect(&server, &[("Cookie", &cookie), ("Origin", "null")]), 403, "cross_site");

    assert!(connect(&server, &[("Authorization", &bearer)]).is_ok());
    // No page can make a browser send that header with a handshake.
    assert!(connect(&server, &[("Authorization", &bearer), evil]).is_ok());
    drop(open(&server, &browser));

    browser.post("/auth/logout").send().expect(204);
    refused(connect(&server, &[("Authorization", &bearer)]), 401, "token_revoked");
}

#[test]
fn a_message_reaches_all_connections() {
    let server = Launch::new(WEBSOCKET).start();
    let (lovelace, babbage) = (server.register("lovelace"), server.register("babbage"));
    let mut chats = [open(&server, &lovelace), open(&server, &babbage)];
    for (chat, word) in chats.iter_mut().zip(["one", "two"]) {
        // Who hears their own words is in the room, and may have been when the other one spoke.
        chat.say(word);
        chat.hear_until(word);
    }
    chats[1].say("hello <b>all</b>");
    for chat in &mut chats {
        chat.hear_until("hello <b>all</b>");
    }
}

#[test]
fn a_connection_is_closed_by_whatever_ends_its_session() {
    let server = Launch::new(WEBSOCKET).env("REFRESH_TOKEN_GRACE", "0s").start();
    let mut bystander = open(&server, &server.register("bystander"));
    for way in ["logout", "logout_all", "end_session", "password", "reuse", "disable"] {
        let mut browser = server.register(way);
        let mut other_device = server.log_in(way);
        let chat = open(&server, &browser);
        match way {
            "logout" => browser.post("/auth/logout").send().expect(204),
            "logout_all" => other_device.post("/auth/logout-all").send().expect(204),
            "end_session" => {
                let profile = browser.get("/profile").send().json();
                let sid = profile["sid"].as_str().expect("an id");
                other_device.delete(&format!("/auth/sessions/{sid}")).send().expect(204)
            }
            "password" => {
                let change = json!({"current_password": PASSWORD, "new_password": "another vermilion otter 8"});
                other_device.put("/auth/password").json(&change).send().expect(200)
            }
            "reuse" => {
                let stolen = browser.refresh();
                browser.post("/auth/refresh").send().expect(200);
                server.refresh_with(&stolen).problem(401, "refresh_reused")
            }
            _ => {
                let profile = browser.get("/profile").send().json();
                let sub = profile["sub"].as_str().expect("an id");
                server.admin().post(&format!("/admin/users/{sub}/disable")).send().expect(204)
            }
        };
        assert_eq!(chat.closed(), (4401, "token_revoked".to_owned()), "{way}");
    }
    bystander.say("still here");
    assert_eq!(bystander.hear()["text"], "still here");
}

#[test]
fn an_expired_token_closes_its_connection_until_a_refresh() {
    let server = Launch::new(WEBSOCKET).env("ACCESS_TOKEN_EXPIRY", "3s").start();
    let mut browser = server.register("lovelace");
    let chat = loop {
        let bearer = format!("Bearer {}", browser.access());
        match connect(&server, &[("Authorization", &bearer)]) {
            Ok(chat) => break chat,
            // On a busy machine three seconds may pass before that.
            Err(_) => browser.post("/auth/refresh").send().expect(200),
        };
    };
    assert_eq!(chat.closed(), (4401, "token_expired".to_owned()));
    refused(connect(&server, &[("Authorization", &format!("Bearer {}", browser.access()))]), 401, "token_expired");
    browser.post("/auth/refresh").send().expect(200);
    browser.get("/profile").send().expect(200);
}

#[test]
fn a_frame_that_says_it_is_long_is_hung_up_on_before_it_comes() {
    let server = Launch::new(WEBSOCKET).start();
    let browser = server.register("lovelace");
    // A text, masked, of 8 MiB; and no more of it than its header.
    let mut header = vec![0x81, 0x80 | 127];
    header.extend((8_u64 << 20).to_be_bytes());
    header.extend([0; 4]);
    let mut chat = open(&server, &browser);
    chat.0.get_mut().write_all(&header).expect("it is open");
    let answer = chat.0.read();
    let is_over = match &answer {
        Ok(Message::Close(_)) | Err(Error::Protocol(_) | Error::ConnectionClosed) => true,
        Err(Error::Io(error)) => !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
        _ => false,
    };
    assert!(is_over, "{answer:?}");
}

#[test]
fn a_user_has_eight_connections_at_most_at_once() {
    let server = Launch::new(WEBSOCKET).start();
    let browser = server.register("lovelace");
    let mut chats: Vec<_> = (0..8).map(|_| open(&server, &browser)).collect();
    let bearer = format!("Bearer {}", browser.access());
    let again = || connect(&server, &[("Authorization", &bearer)]);
    assert_eq!(again().err().map(|refusal| refusal.status().as_u16()), Some(429));
    // Another user is not in the way.
    let mut other = open(&server, &server.register("babbage"));
    other.say("hello");
    other.hear_until("hello");
    chats.pop();
    poll_until("the server finds out that it has ended", || again().ok());
}

#[test]
fn who_talks_too_fast_is_read_at_a_pace() {
    let server = Launch::new(WEBSOCKET).start();
    let mut chat = open(&server, &server.register("lovelace"));
    let started = Instant::now();
    for number in 0..=10 {
        chat.say(&number.to_string());
    }
    chat.hear_until("10");
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
}

#[test]
fn the_page_of_the_chat_is_as_strict_as_the_other() {
    let server = Launch::new(WEBSOCKET).start();
    let (page, chat) = (server.get("/").send(), server.get("/chat").send());
    let policy = chat.header("content-security-policy").expect("a policy");
    assert_eq!(Some(policy), page.header("content-security-policy"));
    assert!(policy.starts_with("default-src 'none';") && policy.contains("connect-src 'self'"), "{policy}");
    let text = chat.text();
    assert!(text.contains("src=\"/chat/chat.js\"") && !text.contains("<script>"), "{text}");
    assert_eq!(server.get("/chat/chat.js").send().header("content-type"), Some("text/javascript; charset=utf-8"));
}
