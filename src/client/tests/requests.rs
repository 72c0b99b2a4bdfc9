//! Which requests carry the token, and which are sent again.

use tower::{Service, limit::ConcurrencyLimit};

use super::*;

/// A server for any address. It records the requests and gives all of them the same answer.
#[derive(Clone)]
struct Anywhere {
    arrived: Arc<Mutex<Vec<Request<Full<Bytes>>>>>,
    answer: Arc<dyn Fn() -> Response<Full<Bytes>> + Send + Sync>,
}

impl Anywhere {
    fn new(answer: impl Fn() -> Response<Full<Bytes>> + Send + Sync + 'static) -> Self {
        Self { arrived: Arc::default(), answer: Arc::new(answer) }
    }

    async fn send(&self, auth: &ClientAuth, request: Request<Full<Bytes>>) -> Response<Full<Bytes>> {
        let this = self.clone();
        let http = service_fn(move |request| {
            this.arrived.lock().unwrap().push(request);
            let answer = (this.answer)();
            async { Ok::<_, BoxError>(answer) }
        });
        auth.layer().layer(http).oneshot(request).await.unwrap()
    }

    fn take(&self) -> Vec<Request<Full<Bytes>>> {
        std::mem::take(&mut self.arrived.lock().unwrap())
    }
}

#[tokio::test]
async fn only_the_named_origins_get_the_token() {
    let world = World::new();
    let auth = world.process_with(|builder| builder.origin("https://files.example.com:8443"));
    auth.login("ada", "open sesame 42".into()).await.unwrap();
    let anywhere = Anywhere::new(|| Response::new(Full::default()));
    for (target, is_ours) in [
        ("https://api.example.com/notes", true),
        ("https://API.example.com:443/notes", true),
        ("https://files.example.com:8443/a", true),
        ("https://files.example.com/a", false),
        ("http://api.example.com/notes", false),
        ("http://api.example.com:443/notes", false),
        ("https://api.example.com:8443/notes", false),
        ("https://api.example.com.evil/notes", false),
        ("https://evil.example.com/api.example.com", false),
        ("https://api.example.com@evil.example.com/", false),
        ("https://ada@api.example.com/", false),
        ("https://127.0.0.1/", false),
        ("/notes", false),
    ] {
        anywhere.send(&auth, Request::get(target).body(Full::default()).unwrap()).await;
        let sent = anywhere.take().pop().unwrap();
        let bearer = sent.headers().get(AUTHORIZATION);
        assert_eq!(bearer.is_some(), is_ours, "{target}");
        assert!(bearer.is_none_or(HeaderValue::is_sensitive), "{target}");
    }
}

#[tokio::test]
async fn the_callers_own_credentials_are_not_replaced() {
    let world = World::new();
    let auth = world.logged_in().await;
    let anywhere = Anywhere::new(|| problem(401, "token_invalid", "Bearer error=\"invalid_token\""));
    let request = Request::get(format!("{SERVER}/notes")).header(AUTHORIZATION, "Basic YTpi");
    anywhere.send(&auth, request.body(Full::default()).unwrap()).await;
    let sent = anywhere.take();
    assert_eq!((sent.len(), &sent[0].headers()[AUTHORIZATION]), (1, &"Basic YTpi".parse().unwrap()));
    assert_eq!(world.seen("/auth/refresh"), 0);
}

#[tokio::test]
async fn a_request_is_sent_again_once_if_its_token_was_refused() {
    let world = World::new();
    let auth = world.logged_in().await;
    let bare = "Bearer";
    let invalid = "Bearer realm=\"api\", error=\"invalid_token\"";
    for (path, status, challenge, again) in [
        ("/notes", 401, invalid, true),
        ("/notes", 401, bare, true),
        ("/notes", 401, "", true),
        ("/notes", 401, "Basic realm=\"a\", bearer error=\"invalid_token\"", true),
        ("/notes", 401, "Basic realm=\"the bearers\"", false),
        ("/notes", 401, "Bearer error=\"insufficient_scope\"", false),
        ("/notes", 403, invalid, false),
        ("/notes", 200, "", false),
        // A wrong password is a 401 there.
        ("/auth/login", 401, bare, false),
        ("/auth/sessions", 401, invalid, true),
        ("/authors", 401, bare, true),
    ] {
        world.clock.advance(Duration::from_secs(1));
        let anywhere = Anywhere::new(move || {
            let mut answer = Response::new(Full::default());
            *answer.status_mut() = StatusCode::from_u16(status).unwrap();
            if !challenge.is_empty() {
                answer.headers_mut().insert(WWW_AUTHENTICATE, challenge.parse().unwrap());
            }
            answer
        });
        let request = Request::post(format!("{SERVER}{path}")).header("x-own", "kept").extension(7_u8);
        let response = anywhere.send(&auth, request.body(Full::from("a body")).unwrap()).await;
        assert_eq!(response.status(), status, "the second answer is returned");
        let sent = anywhere.take();
        assert_eq!(sent.len(), if again { 2 } else { 1 }, "{path} {status} {challenge}");
        for request in sent {
            assert_eq!(
                (&request.headers()["x-own"], request.extensions().get()),
                (&"kept".parse().unwrap(), Some(&7_u8))
            );
            assert_eq!(request.into_body().collect().await.unwrap().to_bytes(), "a body");
        }
    }
}

#[tokio::test]
async fn a_grpc_call_is_refused_in_the_headers_of_a_200() {
    let world = World::new();
    let auth = world.logged_in().await;
    let anywhere = Anywhere::new(|| {
        let mut answer = Response::new(Full::default());
        answer.headers_mut().insert("grpc-status", "16".parse().unwrap());
        answer
    });
    anywhere.send(&auth, Request::post(format!("{SERVER}/notes.Notes/Add")).body(Full::default()).unwrap()).await;
    assert_eq!((anywhere.take().len(), world.seen("/auth/refresh")), (2, 1));
}

#[tokio::test]
async fn a_body_that_cannot_be_sent_again_gets_its_401() {
    let world = World::new();
    let auth = world.logged_in().await;
    world.refuse_access();
    let request = || Request::post(format!("{SERVER}/notes")).body(Full::from("\"body\"")).unwrap();
    let layer = auth.layer().replay(|_: &Full<Bytes>| None);
    let response = layer.layer(world.http()).oneshot(request()).await.unwrap();
    assert_eq!((response.status(), world.seen("/auth/refresh")), (StatusCode::UNAUTHORIZED, 1));
    let response = layer.layer(world.http()).oneshot(request()).await.unwrap();
    assert_eq!((response.status(), world.seen("/notes")), (StatusCode::OK, 2));

    // The same if no other token is available.
    world.refuse_access();
    world.fault(Fault::Instead(429, "9", ""));
    let response = layer.layer(world.http()).oneshot(request()).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_errors_of_the_http_client_pass_through() {
    let auth = World::new().process();
    let http =
        service_fn(|_: Request<Full<Bytes>>| async { Err::<Response<Full<Bytes>>, BoxError>("no route".into()) });
    let request = Request::get(format!("{SERVER}/notes")).body(Full::default()).unwrap();
    let error = auth.layer().layer(http).oneshot(request).await.unwrap_err();
    assert!(matches!(&error, CallError::Call(_)) && error.to_string() == "no route", "{error}");
}

#[tokio::test]
async fn a_request_that_waits_for_a_token_does_not_block_the_refresh() {
    for seconds in [1, 890, 900] {
        let world = World::new();
        let http = ConcurrencyLimit::new(world.http(), 1);
        let builder = ClientAuth::builder(SERVER).storage(world.storage.clone()).clock(world.clock.clone());
        let auth = builder.timeout(Duration::from_secs(2)).refresh_attempts(1).build(http.clone()).unwrap();
        auth.login("ada", "open sesame 42".into()).await.unwrap();
        world.clock.advance(Duration::from_secs(seconds));
        if seconds == 1 {
            world.refuse_access();
        }
        let mut api = auth.layer().layer(http);
        let request = || Request::post(format!("{SERVER}/notes")).body(Full::from("\"body\"")).unwrap();
        let others: Vec<_> = (0..3).map(|_| tokio::spawn(api.clone().oneshot(request()))).collect();
        // A service that has been called blocks nothing either.
        let calling = api.ready().await.unwrap().call(request());
        assert_eq!(calling.await.unwrap().status(), StatusCode::OK, "{seconds}");
        for other in others {
            assert_eq!(other.await.unwrap().unwrap().status(), StatusCode::OK, "{seconds}");
        }
        assert_eq!(world.seen("/auth/refresh"), 1, "{seconds}");
    }
}

#[tokio::test]
async fn a_service_that_refuses_every_token_causes_a_refresh_a_second() {
    let world = World::new();
    let auth = world.process_with(|builder| builder.origin("https://files.example.com"));
    auth.login("ada", "open sesame 42".into()).await.unwrap();
    let anywhere = Anywhere::new(|| problem(401, "token_invalid", "Bearer error=\"invalid_token\""));
    let request = || Request::get("https://files.example.com/a").body(Full::default()).unwrap();
    for second in 1..=3 {
        for _ in 0..5 {
            assert_eq!(anywhere.send(&auth, request()).await.status(), StatusCode::UNAUTHORIZED);
        }
        assert_eq!(world.seen("/auth/refresh"), second);
        world.clock.advance(Duration::from_secs(1));
    }
}
