//! One run of a flow: its span, whose it is, and what is told of it.

use std::{
    future::Future,
    net::IpAddr,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tracing::{Instrument, Span, field};

use super::{Auth, ClientInfo, to_the_end};
use crate::{
    clock::Clock,
    error::{Error, ErrorKind},
    event::{AuthEvent, EventKind, Operation},
    metrics::{self, Stopwatch},
    session::SessionId,
    store::StoreError,
    user::{AuthUser, UserId},
};

/// A flow that is under way, and what has been learned of it.
#[derive(Debug)]
pub(super) struct FlowRun {
    operation: Operation,
    ip: Option<IpAddr>,
    user_agent: Option<Box<str>>,
    subject: Mutex<Subject>,
    span: Span,
}

/// Whom a flow is about, as far as that is known.
#[derive(Clone, Debug, Default)]
struct Subject {
    user: Option<UserId>,
    session: Option<SessionId>,
}

impl FlowRun {
    /// Notes whose account it is about.
    pub(super) fn is_of(&self, user: &UserId) {
        self.note(user, None);
    }

    /// Notes which session it is about.
    pub(super) fn is_of_session(&self, user: &UserId, session: SessionId) {
        self.note(user, Some(session));
    }

    /// The span hears only of what is new: a line of text shows every time that a field was recorded.
    fn note(&self, user: &UserId, session: Option<SessionId>) {
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

    /// Lets go of the span, for what is told long after the flow is over.
    pub(super) fn leave_span(&mut self) {
        self.span = Span::none();
    }

    fn subject(&self) -> MutexGuard<'_, Subject> {
        self.subject.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clone for FlowRun {
    fn clone(&self) -> Self {
        Self {
            operation: self.operation,
            ip: self.ip,
            user_agent: self.user_agent.clone(),
            subject: Mutex::new(self.subject().clone()),
            span: self.span.clone(),
        }
    }
}

impl<U: AuthUser> Auth<U> {
    /// Begins a flow; what is known of the client is kept only where somebody is to hear of it.
    pub(super) fn flow(&self, operation: Operation, client: &ClientInfo) -> FlowRun {
        if operation != Operation::Poll {
            self.start();
        }
        let heard = self.is_heard();
        FlowRun {
            operation,
            ip: client.ip.filter(|_| heard),
            user_agent: heard.then(|| client.user_agent()).flatten(),
            subject: Mutex::default(),
            span: span(operation),
        }
    }

    /// Whether anybody listens to events.
    pub(crate) fn is_heard(&self) -> bool {
        !self.0.sinks.is_empty()
    }

    /// Runs a flow to its result, and tells of an outage. It stays where its caller has pinned it: moved, it would be copied at
    /// each step.
    pub(super) async fn run<T>(
        &self,
        flow: &FlowRun,
        work: Pin<&mut impl Future<Output = Result<T, Error>>>,
    ) -> Result<T, Error> {
        let result = self.watch(flow, work).await;
        result.map_err(|error| self.tell_of_outage(flow, error))
    }

    /// Runs a part of a flow that must not stop half-way (see [`to_the_end`]), and tells of an outage there: when the part
    /// has failed, nobody may be left to hear of it.
    pub(super) async fn see_through<T: Send + 'static>(
        &self,
        flow: &FlowRun,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let (auth, flow) = (self.clone(), flow.clone());
        to_the_end(async move { work.await.map_err(|error| auth.tell_of_outage(&flow, error)) }).await
    }

    /// Runs a flow to its result, within its span.
    pub(super) async fn watch<T>(
        &self,
        flow: &FlowRun,
        work: Pin<&mut impl Future<Output = Result<T, Error>>>,
    ) -> Result<T, Error> {
        let clock = &*self.0.clock;
        let mut watch = Watch { flow, outcome: "abandoned", clock, started: Stopwatch::start(clock) };
        let result = work.instrument(flow.span.clone()).await;
        watch.outcome = result.as_ref().map_or_else(|error| error.kind().code(), |_| "ok");
        result
    }

    /// Tells of something that has happened to the flow's user and session.
    pub(super) fn tell(&self, flow: &FlowRun, kind: EventKind) {
        metrics::event(kind.name(), kind.reason());
        if self.is_heard() {
            let subject = flow.subject().clone();
            self.record(flow, kind, subject);
        }
    }

    /// Tells of something that has happened to another session than the flow's.
    pub(super) fn tell_of(&self, flow: &FlowRun, kind: EventKind, user: &UserId, session: SessionId) {
        metrics::event(kind.name(), kind.reason());
        if self.is_heard() {
            self.record(flow, kind, Subject { user: Some(user.clone()), session: Some(session) });
        }
    }

    /// Tells, once, that a store did not answer, and whether it may have done what it was asked all the same.
    fn tell_of_outage(&self, flow: &FlowRun, error: Error) -> Error {
        if error.kind() != ErrorKind::StoreUnavailable || error.is_event_emitted() {
            return error;
        }
        let may_have_happened = error.is_uncertain();
        self.tell(flow, EventKind::StoreUnavailable { operation: flow.operation, may_have_happened });
        error.event_emitted()
    }

    /// Counts that the throttle refused what the flow attempts, and tells of it where that is news.
    pub(super) fn tell_of_throttle(&self, flow: &FlowRun, retry_after: Duration, is_news: impl FnOnce() -> bool) {
        let kind = EventKind::Throttled { operation: flow.operation, retry_after };
        metrics::event(kind.name(), kind.reason());
        if self.is_heard() && is_news() {
            let subject = flow.subject().clone();
            self.record(flow, kind, subject);
        }
    }

    fn record(&self, flow: &FlowRun, kind: EventKind, subject: Subject) {
        let event = AuthEvent {
            user_id: subject.user,
            session_id: subject.session,
            ip: flow.ip,
            user_agent: flow.user_agent.clone(),
            ..AuthEvent::new(self.now(), kind)
        };
        self.0.sinks.record(&event);
    }
}

/// Says how a flow ended, also when its caller has dropped it half-way.
struct Watch<'a> {
    flow: &'a FlowRun,
    outcome: &'static str,
    clock: &'a dyn Clock,
    started: Stopwatch,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.flow.span.record("outcome", self.outcome);
        metrics::flow(self.flow.operation.as_str(), self.outcome, self.started.elapsed(self.clock));
    }
}

/// The span of a flow. A span's name is part of its call site, so that each has one of its own.
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

/// The failure of a write: where its answer is lost, nobody knows whether it has happened.
pub(super) fn of_a_write(error: StoreError) -> Error {
    let lost = error.is_unavailable();
    let error = Error::from(error);
    if lost { error.uncertain() } else { error }
}
