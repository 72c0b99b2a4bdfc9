//! The same service on hyper alone: no framework, routes matched by hand.
//!
//! ```sh
//! cargo run --example hyper_bare
//! ```

#[path = "../support/mod.rs"]
mod support;

use std::{convert::Infallible, future::Future, net::SocketAddr, pin::Pin, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use portcullis::{
    Auth, AuthBuilder, AuthLayer, AuthUser, Claims, CurrentUser, User,
    auth::ClientInfo,
    http::PeerAddr,
    store::{UserAdmin, memory::MemoryStore},
    user::UserId,
};
use serde_json::{Value, json};
use support::BoxError;
use tower::{Layer, Service, ServiceExt, service_fn, util::BoxCloneService};

type Answer = Response<BoxBody<Bytes, Infallible>>;
type Handler = BoxCloneService<Request<Incoming>, Answer, Infallible>;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    support::init_log();
    let store = MemoryStore::new();
    let auth = AuthBuilder::from_env_or_ephemeral(store.clone(), store.clone())?.build()?;
    support::seed_admin(&auth, &store).await?;

    let app = App::new(&auth, store);
    let listener = support::listen().await?;
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, say: those who are being served go on, and free some.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let app = app.clone();
        tokio::spawn(async move {
            let service = TowerToHyperService::new(service_fn(move |request| app.clone().answer(request, peer)));
            let mut server = auto::Builder::new(TokioExecutor::new());
            server.http1().timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(10));
            if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
                tracing::debug!(error, "connection ended");
            }
        });
    }
}

/// Every route, each behind its guard.
#[derive(Clone)]
struct App {
    endpoints: portcullis::endpoints::Routes<User>,
    profile: Handler,
    account: Handler,
    notes: Handler,
    admin: Handler,
    disable: Handler,
    greeting: Handler,
}

impl App {
    fn new(auth: &Auth<User>, store: MemoryStore) -> Self {
        let disabling = auth.clone();
        Self {
            endpoints: auth.routes(),
            profile: guarded(&auth.require(), profile),
            account: guarded(&auth.require().load_user(), account),
            notes: guarded(&auth.require(), |request| {
                json_answer(StatusCode::CREATED, &json!({ "by": subject(request) }))
            }),
            admin: guarded(&auth.require().role("admin"), |_| json_answer(StatusCode::OK, &json!({ "admin": true }))),
            disable: guarded_async(&auth.require().role("admin"), move |request| {
                Box::pin(disable_user(disabling.clone(), store.clone(), request))
            }),
            greeting: guarded(&auth.optional(), |request| {
                json_answer(StatusCode::OK, &json!({ "hello": subject(request).unwrap_or("stranger") }))
            }),
        }
    }

    async fn answer(mut self, mut request: Request<Incoming>, peer: SocketAddr) -> Result<Answer, Infallible> {
        request.extensions_mut().insert(PeerAddr::from(peer));
        let path = request.uri().path();
        if self.endpoints.matches(path) {
            return Ok(self.endpoints.call(request).await?.map(BodyExt::boxed));
        }
        let disable = path.strip_prefix("/admin/users/").is_some_and(|rest| rest.ends_with("/disable"));
        let (method, handler) = match path {
            "/ping" => return Ok(text_answer(StatusCode::OK, "pong")),
            "/profile" => (Method::GET, &mut self.profile),
            "/account" => (Method::GET, &mut self.account),
            "/notes" => (Method::POST, &mut self.notes),
            "/admin" => (Method::GET, &mut self.admin),
            "/greeting" => (Method::GET, &mut self.greeting),
            _ if disable => (Method::POST, &mut self.disable),
            _ => return Ok(text_answer(StatusCode::NOT_FOUND, "not found")),
        };
        if *request.method() != method {
            return Ok(text_answer(StatusCode::METHOD_NOT_ALLOWED, "method not allowed"));
        }
        handler.ready().await?.call(request).await
    }
}

fn guarded(
    guard: &AuthLayer<User>,
    handler: impl Fn(&Request<Incoming>) -> Answer + Clone + Send + 'static,
) -> Handler {
    guarded_async(guard, move |request| {
        let answer = handler(&request);
        Box::pin(async move { answer })
    })
}

type AnswerFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

fn guarded_async(
    guard: &AuthLayer<User>,
    handler: impl Fn(Request<Incoming>) -> AnswerFuture + Clone + Send + 'static,
) -> Handler {
    let service = service_fn(move |request| {
        let answer = handler(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let service = guard.layer(service).map_response(|response| response.map(BodyExt::boxed));
    BoxCloneService::new(service)
}

fn subject(request: &Request<Incoming>) -> Option<&str> {
    request.extensions().get::<Claims>().map(|claims| claims.subject().as_str())
}

fn profile(request: &Request<Incoming>) -> Answer {
    let Some(claims) = request.extensions().get::<Claims>() else {
        return text_answer(StatusCode::INTERNAL_SERVER_ERROR, "no guard");
    };
    let roles: Vec<&str> = claims.roles().collect();
    let body = json!({ "sub": claims.subject().as_str(), "sid": claims.session_id(), "roles": roles });
    json_answer(StatusCode::OK, &body)
}

fn account(request: &Request<Incoming>) -> Answer {
    let Some(CurrentUser(user)) = request.extensions().get::<CurrentUser<User>>() else {
        return text_answer(StatusCode::INTERNAL_SERVER_ERROR, "no guard");
    };
    json_answer(StatusCode::OK, &serde_json::to_value(user.public()).unwrap_or_default())
}

async fn disable_user(auth: Auth<User>, store: MemoryStore, request: Request<Incoming>) -> Answer {
    let id = request.uri().path().split('/').nth(3).map(UserId::from);
    match id {
        Some(id) if store.set_disabled(&id, true).await.unwrap_or(false) => {
            match auth.end_sessions_of(&id, &ClientInfo::unknown()).await {
                Ok(()) => text_answer(StatusCode::NO_CONTENT, ""),
                Err(_) => text_answer(StatusCode::SERVICE_UNAVAILABLE, "try again"),
            }
        }
        _ => text_answer(StatusCode::NOT_FOUND, "not found"),
    }
}

fn json_answer(status: StatusCode, body: &Value) -> Answer {
    let mut answer = text_answer(status, body.to_string());
    answer.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    answer
}

fn text_answer(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()).boxed());
    *answer.status_mut() = status;
    answer
}
