//! [`FlowRun`]: one run of a flow, with its tracing span, the affected user and session, and its
//! events.

use std::{
    fmt,
    future::Future,
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tracing::{Instrument, Span, field};

use super::{
    auth_event::AuthEvent,
    kind::{EventKind, Operation},
    sink::Sinks,
    tasks::Tasks,
};
use crate::{
    clock::Clock,
    error::{Error, ErrorKind},
    metrics::{self, Stopwatch},
    session::SessionId,
    user::UserId,
};

/// Sinks of an `Auth`, the clock that stamps the events, and the tasks that emit some of them
/// later.
pub(crate) struct Events {
    pub(crate) sinks: Sinks,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tasks: Tasks,
}

impl Events {
    /// Returns whether an app has set a sink. Without one no event is made.
    pub(crate) fn have_sink(&self) -> bool {
        !self.sinks.is_empty()
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("have_sink", &self.have_sink()).finish_non_exhaustive()
    }
}

/// One run of a flow.
#[derive(Debug)]
pub(crate) struct FlowRun {
    events: Arc<Events>,
    operation: Operation,
    ip: Option<IpAddr>,
    user_agent: Option<Box<str>>,
    subject: Mutex<Subject>,
    span: Span,
}

/// User and session of a flow, once they are known.
#[derive(Clone, Debug, Default)]
struct Subject {
    user: Option<UserId>,
    session: Option<SessionId>,
}

impl FlowRun {
    /// Begins a run. Its events carry `ip` and `user_agent`.
    pub(crate) fn begin(
        events: &Arc<Events>,
        operation: Operation,
        ip: Option<IpAddr>,
        user_agent: Option<Box<str>>,
    ) -> Self {
        Self { events: Arc::clone(events), operation, ip, user_agent, subject: Mutex::default(), span: span(operation) }
    }

    /// Sets the user that the flow is about.
    pub(crate) fn set_user(&self, user: &UserId) {
        self.set_subject(user, None);
    }

    /// Sets the user and the session that the flow is about.
    pub(crate) fn set_session(&self, user: &UserId, session: SessionId) {
        self.set_subject(user, Some(session));
    }

    /// Sets the subject. The span records only what is new, because a text log repeats a field that
    /// is recorded again.
    fn set_subject(&self, user: &UserId, session: Option<SessionId>) {
        let mut subject = self.subject();
        if subject.user.as_ref() != Some(user) {
            self.span.record("user", field::display(user));
            subject.user = Some(user.clone());
        }
        if let Some(session) = session.filter(|session| subject.session != Some(*session)) {
            self.span.record("session", field::display(session));
            subject.session = Some(session);
        }
    }

    /// Drops the span, for events that are emitted long after the flow has ended.
    pub(crate) fn leave_span(&mut self) {
        self.span = Span::none();
    }

    fn subject(&self) -> MutexGuard<'_, Subject> {
        self.subject.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a flow to its result, and emits the event of an outage. The work stays where its caller
    /// has pinned it, because a move would copy it at each step.
    pub(crate) async fn run<T>(&self, work: Pin<&mut impl Future<Output = Result<T, Error>>>) -> Result<T, Error> {
        let result = self.watch(work).await;
        result.map_err(|error| self.emit_outage(error))
    }

    /// Runs a part of a flow that must not stop half-way (see [`Tasks::to_the_end`]), and emits the
    /// event of an outage there, because the caller may be gone when the part fails.
    pub(crate) async fn run_to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let run = self.clone();
        let tasks = &self.events.tasks;
        tasks.to_the_end(async move { work.await.map_err(|error| run.emit_outage(error)) }).await
    }

    /// Runs a flow to its result, within its span.
    pub(crate) async fn watch<T>(&self, work: Pin<&mut impl Future<Output = Result<T, Error>>>) -> Result<T, Error> {
        let started = Stopwatch::start(&*self.events.clock);
        let mut watch = Watch { run: self, outcome: "abandoned", started };
        let result = work.instrument(self.span.clone()).await;
        watch.outcome = result.as_ref().map_or_else(|error| error.kind().code(), |_| "ok");
        result
    }

    /// Emits an event about the flow's user and session.
    pub(crate) fn emit(&self, kind: EventKind) {
        metrics::event(kind.name(), kind.reason());
        if self.events.have_sink() {
            let subject = self.subject().clone();
            self.record(kind, subject);
        }
    }

    /// Emits an event about another session than the flow's.
    pub(crate) fn emit_for(&self, kind: EventKind, user: &UserId, session: SessionId) {
        metrics::event(kind.name(), kind.reason());
        if self.events.have_sink() {
            self.record(kind, Subject { user: Some(user.clone()), session: Some(session) });
        }
    }

    /// Emits `store.unavailable`, once for each error, and says whether the store may have done
    /// what it was asked.
    fn emit_outage(&self, error: Error) -> Error {
        if error.kind() != ErrorKind::StoreUnavailable || error.is_event_emitted() {
            return error;
        }
        let may_have_happened = error.is_uncertain();
        self.emit(EventKind::StoreUnavailable { operation: self.operation, may_have_happened });
        error.event_emitted()
    }

    /// Counts that the throttle refused the attempt. Emits the event if it is the first of its
    /// delay.
    pub(crate) fn emit_throttled(&self, retry_after: Duration, is_first: impl FnOnce() -> bool) {
        let kind = EventKind::Throttled { operation: self.operation, retry_after };
        metrics::event(kind.name(), kind.reason());
        if self.events.have_sink() && is_first() {
            let subject = self.subject().clone();
            self.record(kind, subject);
        }
    }

    fn record(&self, kind: EventKind, subject: Subject) {
        let event = AuthEvent {
            user_id: subject.user,
            session_id: subject.session,
            ip: self.ip,
            user_agent: self.user_agent.clone(),
            ..AuthEvent::new(self.events.clock.now(), kind)
        };
        self.events.sinks.record(&event);
    }
}

impl Clone for FlowRun {
    fn clone(&self) -> Self {
        Self {
            events: Arc::clone(&self.events),
            operation: self.operation,
            ip: self.ip,
            user_agent: self.user_agent.clone(),
            subject: Mutex::new(self.subject().clone()),
            span: self.span.clone(),
        }
    }
}

/// Records how a flow ended, also if its caller has dropped it half-way.
struct Watch<'a> {
    run: &'a FlowRun,
    outcome: &'static str,
    started: Stopwatch,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let clock = &*self.run.events.clock;
        self.run.span.record("outcome", self.outcome);
        metrics::flow(self.run.operation.as_str(), self.outcome, self.started.elapsed(clock));
    }
}

/// Returns the span of a flow. The name of a span is part of its call site, so each operation has a
/// call site.
fn span(operation: Operation) -> Span {
    macro_rules! named {
        ($($operation:ident = $name:literal,)+) => {
            match operation {
                $(Operation::$operation => tracing::info_span!(
                    target: "portcullis",
                    $name,
                    user = field::Empty,
                    session = field::Empty,
                    outcome = field::Empty,
                ),)+
            }
        };
    }
    named! {
        Register = "portcullis.register",
        Login = "portcullis.login",
        StartSession = "portcullis.start_session",
        Refresh = "portcullis.refresh",
        Logout = "portcullis.logout",
        LogoutAll = "portcullis.logout_all",
        EndSessions = "portcullis.end_sessions",
        EndSession = "portcullis.end_session",
        ListSessions = "portcullis.list_sessions",
        ChangePassword = "portcullis.change_password",
        CheckSession = "portcullis.check_session",
        LoadUser = "portcullis.load_user",
        Poll = "portcullis.poll",
    }
}
