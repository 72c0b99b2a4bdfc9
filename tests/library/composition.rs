//! The guard among other layers: it works inside and around any tower service.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{Router, routing::get};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use portcullis::{Auth, Claims, User, http::ResponseBody, store::UserAdmin};
use tokio::sync::mpsc;
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt, buffer::Buffer, service_fn};

use crate::fixture::{World, register, start_session};

async fn world() -> (Auth<User>, String) {
    let world = World::new();
    let auth = world.node();
    let ada = register(&auth, "ada").await;
    world.store.memory.set_roles(&ada.id, &["staff".to_owned()]).await.unwrap();
    let ada = portcullis::store::UserStore::find_by_id(&world.store, &ada.id).await.unwrap().unwrap();
    let token = start_session(&auth, &ada).await.access;
    (auth, token)
}

fn request(token: Option<&str>) -> Request<Full<Bytes>> {
    let mut request = Request::get("/");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    request.body(Full::default()).unwrap()
}

async fn hello(request: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let who = request.extensions().get::<Claims>().map(|claims| claims.subject().to_string());
    Ok(Response::new(who.unwrap_or_default().into()))
}

async fn status<S, B>(service: S, request: Request<Full<Bytes>>) -> StatusCode
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>>,
    S::Error: std::fmt::Debug,
{
    service.oneshot(request).await.unwrap().status()
}

#[tokio::test]
async fn nested_guards_each_decide() {
    let (auth, token) = world().await;
    let stacked = |role: &str| {
        let builder = ServiceBuilder::new().layer(auth.require()).layer(auth.require().role(role));
        builder.map_request(|request: Request<Full<Bytes>>| request).service(service_fn(hello))
    };
    assert_eq!(status(stacked("staff"), request(Some(&token))).await, StatusCode::OK);
    assert_eq!(status(stacked("admin"), request(Some(&token))).await, StatusCode::FORBIDDEN);
    assert_eq!(status(stacked("staff"), request(None)).await, StatusCode::UNAUTHORIZED);
    // An inner guard decides for itself. The user that an outer guard loaded is not passed on to
    // it.
    let relaxed = ServiceBuilder::new().layer(auth.optional()).layer(auth.optional()).service(service_fn(hello));
    assert_eq!(status(relaxed, request(None)).await, StatusCode::OK);
}

#[tokio::test]
async fn a_guard_that_loads_the_user_checks_current_roles() {
    let world = World::new();
    let auth = world.node();
    let ada = register(&auth, "ada").await;
    let token = start_session(&auth, &ada).await.access;
    let loading = || auth.require().load_user().role("admin").layer(service_fn(hello));
    let by_token = || auth.require().role("admin").layer(service_fn(hello));
    assert_eq!(status(loading(), request(Some(&token))).await, StatusCode::FORBIDDEN);
    world.store.memory.set_roles(&ada.id, &["admin".to_owned()]).await.unwrap();
    assert_eq!(status(loading(), request(Some(&token))).await, StatusCode::OK);
    assert_eq!(status(by_token(), request(Some(&token))).await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_buffer_goes_before_the_guard_or_behind_it() {
    let (auth, token) = world().await;
    for layer in [auth.require(), auth.require().load_user()] {
        let before = Buffer::new(layer.layer(service_fn(hello)), 4);
        let behind = layer.layer(Buffer::new(service_fn(hello), 4));
        for _ in 0..3 {
            assert_eq!(status(before.clone(), request(Some(&token))).await, StatusCode::OK);
            assert_eq!(status(before.clone(), request(None)).await, StatusCode::UNAUTHORIZED);
            assert_eq!(status(behind.clone(), request(Some(&token))).await, StatusCode::OK);
            assert_eq!(status(behind.clone(), request(None)).await, StatusCode::UNAUTHORIZED);
        }
    }
}

/// A service that is ready only at the second poll, and fails when it is called earlier.
#[derive(Default)]
struct Slow {
    asked: u8,
}

impl Clone for Slow {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl<B: Send + 'static> Service<Request<B>> for Slow {
    type Response = Response<Full<Bytes>>;
    type Error = BoxError;
    type Future = std::future::Ready<Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.asked += 1;
        if self.asked < 2 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        let ready = std::mem::take(&mut self.asked) >= 2;
        std::future::ready(if ready { Ok(Response::default()) } else { Err("called before it was ready".into()) })
    }
}

#[tokio::test]
async fn the_service_that_is_called_is_the_one_that_was_ready() {
    let (auth, token) = world().await;
    for layer in [auth.require(), auth.require().check_session(), auth.require().load_user(), auth.optional()] {
        let mut guarded = layer.layer(Slow::default());
        for _ in 0..3 {
            let ready = ServiceExt::<Request<Full<Bytes>>>::ready(&mut guarded).await.unwrap();
            assert_eq!(ready.call(request(Some(&token))).await.unwrap().status(), StatusCode::OK);
        }
        let buffered = Buffer::new(guarded, 2);
        for _ in 0..3 {
            assert_eq!(status(buffered.clone(), request(Some(&token))).await, StatusCode::OK);
        }
    }
}

#[tokio::test]
async fn an_error_of_the_service_comes_out_as_it_is() {
    #[derive(Debug, PartialEq)]
    struct Own;
    let (auth, token) = world().await;
    let failing = service_fn(|_: Request<Full<Bytes>>| async { Err::<Response<Full<Bytes>>, Own>(Own) });
    for layer in [auth.require(), auth.require().load_user()] {
        assert_eq!(layer.layer(failing).oneshot(request(Some(&token))).await.err(), Some(Own));
        assert!(layer.layer(failing).oneshot(request(None)).await.is_ok());
    }
}

#[tokio::test]
async fn a_router_is_guarded_whole_or_by_its_routes() {
    let (auth, token) = world().await;
    let router = || Router::new().route("/", get(async |claims: Claims| claims.subject().to_string()));
    let whole = router().layer(auth.require());
    let routes = router().route_layer(auth.require());
    let call = async |router: &Router, path: &str, token: Option<&str>| {
        let mut request = Request::get(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        router.clone().oneshot(request.body(axum::body::Body::empty()).unwrap()).await.unwrap().status()
    };
    for router in [&whole, &routes] {
        assert_eq!(call(router, "/", Some(&token)).await, StatusCode::OK);
        assert_eq!(call(router, "/", None).await, StatusCode::UNAUTHORIZED);
        assert_eq!(call(router, "/nothing", Some(&token)).await, StatusCode::NOT_FOUND);
    }
    assert_eq!(call(&whole, "/nothing", None).await, StatusCode::UNAUTHORIZED, "the paths that exist stay unknown");
    assert_eq!(call(&routes, "/nothing", None).await, StatusCode::NOT_FOUND);
}

/// A body whose frames come one by one, as they are sent.
struct Frames(mpsc::Receiver<Bytes>);

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|frame| frame.map(|bytes| Ok(Frame::data(bytes))))
    }
}

#[tokio::test]
async fn bodies_stream_through_frame_by_frame() {
    let (auth, token) = world().await;
    let echo = service_fn(|request: Request<Frames>| async { Ok::<_, Infallible>(Response::new(request.into_body())) });
    for layer in [auth.require(), auth.require().load_user()] {
        let (say, said) = mpsc::channel(1);
        let request = Request::post("/").header("authorization", format!("Bearer {token}")).body(Frames(said)).unwrap();
        let mut body = layer.layer(echo).oneshot(request).await.unwrap().into_body();
        for word in ["one", "two", "three"] {
            say.send(Bytes::from(word)).await.unwrap();
            let frame = body.frame().await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), word);
        }
        drop(say);
        assert!(body.frame().await.is_none());
    }
}

#[test]
fn public_types_are_send_and_sync() {
    fn cloned<T: Clone + Send + Sync + Unpin + 'static>() {}
    fn moved<T: Send + Sync + Unpin + 'static>() {}
    cloned::<portcullis::AuthLayer<User>>();
    cloned::<portcullis::layer::AuthService<Slow, User>>();
    cloned::<portcullis::endpoints::Routes<User>>();
    cloned::<Claims>();
    moved::<ResponseBody<Full<Bytes>>>();
    moved::<ResponseBody>();
    moved::<portcullis::Error>();
    moved::<portcullis::axum::AuthRejection>();
}
