//! Stores that measure each call (feature `metrics`).

use std::sync::Arc;

use super::{SessionStore, StoreError, UserStore, sessions::delegate_session_store, users::delegate_user_store};
use crate::{
    clock::Clock,
    metrics::{self, Stopwatch},
    user::AuthUser,
};

/// Wraps a store and measures its calls with a clock.
pub(crate) struct Timed<S: ?Sized> {
    store: Arc<S>,
    clock: Arc<dyn Clock>,
    name: &'static str,
}

impl<U: AuthUser> Timed<dyn UserStore<User = U>> {
    pub(crate) fn users(store: Arc<dyn UserStore<User = U>>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, name: "users" }
    }
}

impl Timed<dyn SessionStore> {
    pub(crate) fn sessions(store: Arc<dyn SessionStore>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, name: "sessions" }
    }
}

impl<S: ?Sized> Timed<S> {
    async fn time<T>(
        &self,
        call: &'static str,
        answer: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let clock = &*self.clock;
        let mut timed = Call { store: self.name, call, outcome: "abandoned", clock, started: Stopwatch::start(clock) };
        let answer = answer.await;
        timed.outcome = answer.as_ref().map_or_else(StoreError::word, |_| "ok");
        answer
    }
}

/// Records a call when it is dropped. A call that its caller abandons is therefore recorded too.
struct Call<'a> {
    store: &'static str,
    call: &'static str,
    outcome: &'static str,
    clock: &'a dyn Clock,
    started: Stopwatch,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        metrics::store(self.store, self.call, self.outcome, self.started.elapsed(self.clock));
    }
}

macro_rules! timed {
    ($this:ident, [now] $method:ident($($argument:ident),*)) => {
        $this.store.$method($($argument),*)
    };
    ($this:ident, $method:ident($($argument:ident),*)) => {
        $this.time(stringify!($method), $this.store.$method($($argument),*))
    };
}

delegate_user_store!([U: AuthUser] Timed<dyn UserStore<User = U>>, U, timed);
delegate_session_store!([] Timed<dyn SessionStore>, timed);
