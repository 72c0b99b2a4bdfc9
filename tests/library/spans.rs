//! Spans of the flows: their names, their fields, and where there are none.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use portcullis::{
    auth::{Check, ClientInfo, Presented},
    user::Login,
};
use tracing::{
    Dispatch, Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
    subscriber::DefaultGuard,
};

use crate::fixture::{Failure, PASSWORD, World, register, start_session};
use crate::login::log_in;

/// Name and fields of a span.
type Span = (&'static str, BTreeMap<&'static str, String>);

/// Remembers every span of this crate, and how many are entered.
#[derive(Clone, Default)]
struct Spans {
    all: Arc<Mutex<Vec<Span>>>,
    entered: Arc<AtomicU64>,
}

struct Fields<'a>(&'a mut BTreeMap<&'static str, String>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.to_owned());
    }
}

impl Fields<'_> {
    /// A field that is recorded again is added to the first value, as in a text log.
    fn add(&mut self, field: &Field, value: String) {
        self.0.entry(field.name()).and_modify(|there| *there = format!("{there} {value}")).or_insert(value);
    }
}

impl Subscriber for Spans {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && metadata.target() == "portcullis"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut all = self.all.lock().unwrap();
        let mut fields = BTreeMap::new();
        span.record(&mut Fields(&mut fields));
        all.push((span.metadata().name(), fields));
        Id::from_u64(all.len() as u64)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let index = usize::try_from(span.into_u64()).unwrap() - 1;
        values.record(&mut Fields(&mut self.all.lock().unwrap()[index].1));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {
        self.entered.fetch_add(1, Ordering::SeqCst);
    }

    fn exit(&self, _: &Id) {
        self.entered.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Spans {
    /// Records the spans of this thread. While a process has only one subscriber, `tracing` asks
    /// the thread that comes first to a span whether the span is wanted, and keeps the answer. With
    /// two subscribers it asks both.
    fn listen(&self) -> (DefaultGuard, Dispatch) {
        (tracing::subscriber::set_default(self.clone()), Dispatch::new(Self::default()))
    }

    /// Returns the spans since the last call, each as `name outcome`.
    fn brief(&self) -> Vec<String> {
        assert_eq!(self.entered.load(Ordering::SeqCst), 0, "no span is entered while nothing runs");
        let all = self.all.lock().unwrap();
        all.iter()
            .map(|(name, fields)| format!("{name} {}", fields.get("outcome").map_or("-", String::as_str)))
            .collect()
    }

    /// Returns the fields of the last span.
    fn last(&self) -> BTreeMap<&'static str, String> {
        self.all.lock().unwrap().last().unwrap().1.clone()
    }
}

#[tokio::test]
async fn each_flow_has_a_span_with_user_session_and_outcome() {
    let world = World::new();
    let auth = world.node();
    let spans = Spans::default();
    let _here = spans.listen();
    let (login, client) = (Login::either("ada@example.com"), ClientInfo::unknown());

    let ada = register(&auth, "ada").await;
    let pair = start_session(&auth, &ada).await;
    assert_eq!(spans.last()["session"], pair.session.to_string());
    log_in(&auth, "ada@example.com", PASSWORD).await.unwrap();
    let id = ada.id.to_string();
    assert_eq!(spans.last()["user"], id, "recorded once");
    auth.login(&login, "a wrong guess".into(), &client).await.unwrap_err();
    assert_eq!(spans.last(), BTreeMap::from([("user", id.clone()), ("outcome", "invalid_credentials".to_owned())]));
    auth.login(&Login::either("a password"), "a wrong guess".into(), &client).await.unwrap_err();
    assert_eq!(spans.last().len(), 1, "an unknown login is not shown");
    for check in [Check::Stateless, Check::Stateless, Check::Session, Check::User] {
        auth.authenticate(&pair.access, check).await.unwrap();
    }
    let claims = auth.authenticate(&pair.access, Check::Stateless).await.unwrap().claims;
    auth.refresh(&pair.refresh, &ClientInfo::unknown()).await.unwrap();
    assert_eq!((&spans.last()["user"], &spans.last()["session"]), (&id, &pair.session.to_string()));
    world.clock.advance(Duration::from_secs(60));
    auth.refresh(&pair.refresh, &ClientInfo::unknown()).await.unwrap_err();
    auth.sessions(&ada.id).await.unwrap();
    auth.end_session(&ada.id, pair.session, &ClientInfo::unknown()).await.unwrap_err();
    auth.change_password(&claims, PASSWORD.into(), "close sesame 43".into(), &client).await.unwrap();
    // The session that it names changes. The user does not.
    assert_eq!(spans.last()["user"], id);
    auth.logout(&Presented::refresh(&pair.refresh), &ClientInfo::unknown()).await.unwrap();
    auth.logout_all(&claims, &ClientInfo::unknown()).await.unwrap();
    auth.end_sessions_of(&ada.id, &ClientInfo::unknown()).await.unwrap();
    world.store.fail("find_by_login", Failure::Before);
    auth.login(&login, PASSWORD.into(), &client).await.unwrap_err();
    assert_eq!(
        spans.brief(),
        [
            "portcullis.register ok",
            // The first call starts it.
            "portcullis.poll ok",
            "portcullis.start_session ok",
            "portcullis.login ok",
            "portcullis.login invalid_credentials",
            "portcullis.login invalid_credentials",
            "portcullis.check_session ok",
            "portcullis.load_user ok",
            "portcullis.refresh ok",
            "portcullis.refresh refresh_reused",
            "portcullis.list_sessions ok",
            "portcullis.end_session session_not_found",
            "portcullis.change_password ok",
            "portcullis.logout ok",
            "portcullis.logout_all ok",
            "portcullis.end_sessions ok",
            "portcullis.login store_unavailable",
        ]
    );
}

#[tokio::test]
async fn a_flow_whose_caller_hangs_up_is_abandoned() {
    let world = World::new();
    let auth = world.node();
    let ada = register(&auth, "ada").await;
    let pair = start_session(&auth, &ada).await;
    let spans = Spans::default();
    let _here = spans.listen();
    world.store.hold("rotate");
    let refresh = tokio::spawn({
        let auth = auth.clone();
        async move { auth.refresh(&pair.refresh, &ClientInfo::unknown()).await.map(drop) }
    });
    world.store.held().await;
    refresh.abort();
    assert!(refresh.await.unwrap_err().is_cancelled());
    assert_eq!(spans.brief(), ["portcullis.refresh abandoned"]);
}
