//! Clients against a small server that can fail as servers and networks do.

mod race;
mod refresh;
mod requests;
mod sessions;
mod storage;

use std::{
    collections::{HashSet, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{
    HeaderValue, Request, Response, StatusCode,
    header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE},
};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tokio::sync::{OwnedMutexGuard, Semaphore};
use tower::{BoxError, Layer, ServiceExt, service_fn, util::BoxCloneSyncService};

use super::*;
use crate::{
    clock::{Clock, ManualClock, Timestamp},
    secret::Secret,
};

const SERVER: &str = "https://api.example.com";
const LIFETIME: Duration = Duration::from_secs(900);
const GRACE: Duration = Duration::from_secs(10);

type Http = BoxCloneSyncService<Request<Full<Bytes>>, Response<Full<Bytes>>, BoxError>;

/// What happens to one request to an endpoint.
#[derive(Clone, Debug)]
enum Fault {
    /// It never arrives.
    Lost,
    /// It is carried out, and its answer is lost.
    Unanswered,
    /// It is answered with this and not carried out.
    Instead(u16, &'static str, &'static str),
}

/// A server with one session, and a network.
#[derive(Clone)]
struct World {
    clock: ManualClock,
    server: Arc<Mutex<Server>>,
    /// Each refresh takes one permit.
    may_refresh: Arc<Semaphore>,
    storage: Shared,
}

struct Server {
    session: u64,
    generation: u64,
    rotated_at: Timestamp,
    ended: bool,
    issued: u64,
    /// Whether a password change was the last rotation. The token before it has no grace.
    password_changed: bool,
    /// The refresh tokens that came with a login or a registration.
    replaced: Vec<String>,
    /// The valid access tokens and their expiry.
    valid: Vec<(String, Timestamp)>,
    faults: VecDeque<Fault>,
    /// Every request that arrived: its path, and its token.
    seen: Vec<(String, String)>,
}

impl World {
    fn new() -> Self {
        let clock = ManualClock::new(Timestamp::from_secs(1_800_000_000));
        let server = Server {
            session: 0,
            generation: 0,
            rotated_at: clock.now(),
            ended: true,
            issued: 0,
            password_changed: false,
            replaced: Vec::new(),
            valid: Vec::new(),
            faults: VecDeque::new(),
            seen: Vec::new(),
        };
        let (server, may_refresh) = (Arc::new(Mutex::new(server)), Arc::new(Semaphore::new(100_000)));
        Self { clock, server, may_refresh, storage: Shared::default() }
    }

    /// Returns another process that uses the shared storage.
    fn process(&self) -> ClientAuth {
        self.process_with(|builder| builder)
    }

    fn process_with(&self, settings: impl FnOnce(ClientAuthBuilder) -> ClientAuthBuilder) -> ClientAuth {
        let builder = ClientAuth::builder(SERVER).storage(self.storage.clone()).clock(self.clock.clone());
        settings(builder).build(self.http()).unwrap()
    }

    async fn logged_in(&self) -> ClientAuth {
        let auth = self.process();
        auth.login("ada", "open sesame 42".into()).await.unwrap();
        auth
    }

    fn http(&self) -> Http {
        let this = self.clone();
        BoxCloneSyncService::new(service_fn(move |request| this.clone().answer(request)))
    }

    fn server(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap()
    }

    fn fault(&self, fault: Fault) {
        self.server().faults.push_back(fault);
    }

    /// Invalidates the access tokens, as a change of keys does. It is a second later then, so that
    /// no backoff is in force.
    fn refuse_access(&self) {
        self.clock.advance(Duration::from_secs(1));
        self.server().valid.clear();
    }

    fn seen(&self, path: &str) -> usize {
        self.server().seen.iter().filter(|(seen, _)| seen == path).count()
    }

    async fn answer(self, request: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, BoxError> {
        tokio::task::yield_now().await;
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        let body = body.collect().await?.to_bytes();
        let bearer = parts.headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
        if path == "/auth/refresh" {
            self.may_refresh.acquire().await?.forget();
        }
        let answer = {
            let now = self.clock.now();
            let mut server = self.server();
            server.seen.push((path.clone(), bearer.clone().unwrap_or_default()));
            let fault = if path.starts_with("/auth/") { server.faults.pop_front() } else { None };
            match fault {
                Some(Fault::Lost) => Err("the network is gone".into()),
                Some(Fault::Unanswered) => {
                    server.answer(&path, &body, bearer.as_deref(), now);
                    Err("the answer is lost".into())
                }
                Some(Fault::Instead(status, retry_after, body)) => {
                    let mut answer = Response::new(Full::from(body));
                    *answer.status_mut() = StatusCode::from_u16(status)?;
                    if !retry_after.is_empty() {
                        answer.headers_mut().insert(RETRY_AFTER, retry_after.parse()?);
                    }
                    Ok(answer)
                }
                None => Ok(server.answer(&path, &body, bearer.as_deref(), now)),
            }
        };
        tokio::task::yield_now().await;
        answer
    }
}

impl Server {
    fn answer(&mut self, path: &str, body: &Bytes, bearer: Option<&str>, now: Timestamp) -> Response<Full<Bytes>> {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let valid = bearer.is_some_and(|bearer| {
            let token = bearer.strip_prefix("Bearer ").unwrap();
            self.valid.iter().any(|(valid, until)| valid == token && now < *until)
        });
        match path {
            "/auth/login" | "/auth/register" if body["password"] == "open sesame 42" => {
                assert_eq!(body["delivery"], "body");
                self.replaced.extend(body["refresh_token"].as_str().map(str::to_owned));
                self.session += 1;
                (self.generation, self.ended) = (0, false);
                self.pair(StatusCode::OK, now)
            }
            "/auth/login" => problem(401, "invalid_credentials", "Bearer"),
            "/auth/refresh" => self.refresh(body["refresh_token"].as_str().unwrap(), now),
            "/auth/logout" => {
                assert!(body["refresh_token"].as_str().unwrap().starts_with("refresh-"));
                self.ended = true;
                self.valid.clear();
                let mut answer = Response::new(Full::default());
                *answer.status_mut() = StatusCode::NO_CONTENT;
                answer
            }
            "/auth/password" if valid => {
                self.generation += 1;
                self.rotated_at = now;
                self.password_changed = true;
                self.pair(StatusCode::OK, now)
            }
            "/open" => Response::new(Full::from("open")),
            _ if bearer.is_none() => problem(401, "token_missing", "Bearer"),
            _ if valid && !self.ended => Response::new(Full::from(body.to_string())),
            _ => problem(401, "token_invalid", "Bearer error=\"invalid_token\", error_description=\"invalid\""),
        }
    }

    fn refresh(&mut self, token: &str, now: Timestamp) -> Response<Full<Bytes>> {
        let mut parts = token.strip_prefix("refresh-").unwrap().split('-').map(|part| part.parse::<u64>().unwrap());
        let (session, generation) = (parts.next().unwrap(), parts.next().unwrap());
        if session != self.session || self.ended {
            return problem(401, "refresh_invalid", "Bearer");
        }
        if generation == self.generation {
            self.generation += 1;
            self.rotated_at = now;
            self.password_changed = false;
        } else if generation + 1 == self.generation && self.password_changed && now.since(self.rotated_at) <= GRACE {
            return problem(401, "refresh_invalid", "Bearer");
        } else if generation + 1 != self.generation || now.since(self.rotated_at) > GRACE {
            self.ended = true;
            return problem(401, "refresh_reused", "Bearer");
        }
        self.pair(StatusCode::OK, now)
    }

    fn pair(&mut self, status: StatusCode, now: Timestamp) -> Response<Full<Bytes>> {
        self.issued += 1;
        let access = format!("access-{}-{}-{}", self.session, self.generation, self.issued);
        self.valid.push((access.clone(), now.plus(LIFETIME)));
        let refresh = format!("refresh-{}-{}-{}", self.session, self.generation, self.issued);
        let body = json!({
            "user": {"id": "7"}, "token_type": "Bearer", "expires_in": LIFETIME.as_secs(),
            "access_token": access, "refresh_token": refresh,
        });
        let mut answer = Response::new(Full::from(body.to_string()));
        *answer.status_mut() = status;
        answer
    }
}

fn problem(status: u16, code: &str, challenge: &str) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::from(json!({ "code": code }).to_string()));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    answer.headers_mut().insert(WWW_AUTHENTICATE, challenge.parse().unwrap());
    answer
}

/// A storage with a lock that processes share. It fails on demand.
#[derive(Clone, Default)]
struct Shared {
    memory: MemoryStorage,
    lock: Arc<tokio::sync::Mutex<()>>,
    unlocked: Arc<AtomicBool>,
    failing: Arc<Mutex<HashSet<&'static str>>>,
    hanging: Arc<Mutex<HashSet<&'static str>>>,
}

impl Shared {
    fn fail(&self, call: &'static str) {
        self.failing.lock().unwrap().insert(call);
    }

    /// Makes a call hang, as if another program were suspended while it holds the lock.
    fn hang(&self, call: &'static str) {
        self.hanging.lock().unwrap().insert(call);
    }

    fn recover(&self) {
        self.failing.lock().unwrap().clear();
        self.hanging.lock().unwrap().clear();
    }

    async fn check(&self, call: &'static str) -> Result<(), StorageError> {
        tokio::task::yield_now().await;
        let is_hanging = self.hanging.lock().unwrap().contains(call);
        if is_hanging {
            std::future::pending::<()>().await;
        }
        if self.failing.lock().unwrap().contains(call) { Err(format!("no {call} today").into()) } else { Ok(()) }
    }

    /// Returns the stored refresh token.
    async fn stored(&self) -> Option<String> {
        let text = self.memory.load().await.unwrap()?;
        let stored: Value = serde_json::from_str(text.expose()).unwrap();
        Some(stored["refresh_token"].as_str().unwrap().to_owned())
    }
}

#[async_trait]
impl TokenStorage for Shared {
    async fn load(&self) -> Result<Option<Secret<String>>, StorageError> {
        self.check("load").await?;
        self.memory.load().await
    }

    async fn save(&self, tokens: &Secret<String>) -> Result<(), StorageError> {
        self.check("save").await?;
        self.memory.save(tokens).await
    }

    async fn clear(&self) -> Result<(), StorageError> {
        self.check("clear").await?;
        self.memory.clear().await
    }

    async fn lock(&self) -> Result<StorageLock, StorageError> {
        self.check("lock").await?;
        if self.unlocked.load(Ordering::SeqCst) {
            return Ok(StorageLock::none());
        }
        let guard: OwnedMutexGuard<()> = Arc::clone(&self.lock).lock_owned().await;
        Ok(StorageLock::holding(guard))
    }
}

/// Sends a request through the layer. Returns the status or the kind of error.
async fn call(world: &World, auth: &ClientAuth, path: &'static str) -> Result<StatusCode, ClientErrorKind> {
    let request = Request::post(format!("{SERVER}{path}")).body(Full::from("\"body\"")).unwrap();
    match auth.layer().layer(world.http()).oneshot(request).await {
        Ok(response) => {
            let status = response.status();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            // A request that is sent again has its whole body.
            assert!(status != StatusCode::OK || path == "/open" || body == "\"body\"", "{body:?}");
            Ok(status)
        }
        Err(CallError::Tokens(error)) => Err(error.kind()),
        Err(CallError::Call(error)) => panic!("{error}"),
    }
}

const OK: Result<StatusCode, ClientErrorKind> = Ok(StatusCode::OK);
const UNAUTHORIZED: Result<StatusCode, ClientErrorKind> = Ok(StatusCode::UNAUTHORIZED);
