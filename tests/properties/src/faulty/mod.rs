//! Stores that wrap a store. They count its calls, make them fail by a plan, and let a schedule
//! decide which call runs next.

mod stores;

use std::{
    collections::BTreeMap,
    future::{Future, pending},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use portcullis::store::StoreError;
use proptest::prelude::*;
use tokio::sync::{Notify, oneshot};

pub(crate) use self::stores::{WatchedSessions, WatchedUsers};

pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What goes wrong with one store call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The store is not reached.
    Before,
    /// The store has done its work, and the answer is lost.
    After,
    /// The caller stops waiting. The store does its work before the next operation of any client.
    Late,
    /// The node dies before the call.
    KilledBefore,
    /// The node dies after the store has done its work.
    KilledAfter,
    /// The client disconnects before the call, and the server drops the request.
    HungUp,
}

impl Fault {
    pub(crate) fn any() -> impl Strategy<Value = Self> {
        prop_oneof![
            3 => Just(Self::Before),
            3 => Just(Self::After),
            1 => Just(Self::Late),
            1 => Just(Self::KilledBefore),
            1 => Just(Self::KilledAfter),
            1 => Just(Self::HungUp),
        ]
    }
}

/// Which call of an operation fails, counted from 0, and how.
pub type Plan = BTreeMap<usize, Fault>;

/// Why an operation has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    Killed,
    HungUp,
}

tokio::task_local! {
    /// Called by each store call of an operation.
    pub(crate) static ON_CALL: Box<dyn Fn() + Send + Sync>;
}

/// Controls the wrapped stores. The stores and the test share it.
#[derive(Clone, Default)]
pub struct Control(Arc<Inner>);

#[derive(Default)]
struct Inner {
    plan: Mutex<Plan>,
    late: Mutex<Vec<BoxFuture<()>>>,
    calls: AtomicUsize,
    hits: AtomicUsize,
    /// Number of calls that are inside the store.
    inside: AtomicUsize,
    interrupt: Mutex<Option<Interrupt>>,
    interrupted: Notify,
    gated: AtomicBool,
    waiting: Mutex<Vec<Ticket>>,
}

/// A store call that waits until it may run.
pub(crate) struct Ticket {
    pub(crate) node: usize,
    go: oneshot::Sender<()>,
}

impl Ticket {
    /// Lets the call run. Returns `false` where its caller is gone.
    pub(crate) fn go(self) -> bool {
        self.go.send(()).is_ok()
    }

    pub(crate) fn is_void(&self) -> bool {
        self.go.is_closed()
    }
}

impl Control {
    /// Counts calls and faults from zero, and makes calls fail by this plan from now on.
    pub fn begin(&self, plan: Plan) {
        *lock(&self.0.plan) = plan;
        *lock(&self.0.interrupt) = None;
        self.0.calls.store(0, Ordering::SeqCst);
        self.0.hits.store(0, Ordering::SeqCst);
    }

    /// Returns the number of calls.
    pub fn calls(&self) -> usize {
        self.0.calls.load(Ordering::SeqCst)
    }

    /// Returns how many calls failed by the plan.
    pub fn hits(&self) -> usize {
        self.0.hits.load(Ordering::SeqCst)
    }

    /// Returns how many calls are inside the store now.
    pub(crate) fn inside(&self) -> usize {
        self.0.inside.load(Ordering::SeqCst)
    }

    /// Runs the calls that were given up and have not run yet.
    pub async fn deliver_late(&self) {
        let late = std::mem::take(&mut *lock(&self.0.late));
        for call in late {
            call.await;
        }
    }

    /// Runs an operation until it is done or a fault interrupts it. An interrupted operation is
    /// dropped. The tasks that it leaves then run until they end or until their node dies.
    ///
    /// # Errors
    /// Returns what interrupted the operation.
    pub async fn run<T>(&self, operation: impl Future<Output = T>) -> Result<T, Interrupt> {
        let interrupt = tokio::select! {
            biased;
            done = operation => return Ok(done),
            interrupt = self.interrupted() => interrupt,
        };
        self.settle().await;
        Err(interrupt)
    }

    async fn interrupted(&self) -> Interrupt {
        loop {
            let interrupted = self.0.interrupted.notified();
            if let Some(interrupt) = lock(&self.0.interrupt).take() {
                return interrupt;
            }
            interrupted.await;
        }
    }

    fn interrupt(&self, interrupt: Interrupt) {
        *lock(&self.0.interrupt) = Some(interrupt);
        self.0.interrupted.notify_one();
    }

    /// Waits until every task waits for something other than the store.
    pub(crate) async fn settle(&self) {
        // A chain of wake-ups without a store call takes at most this many turns.
        const TURNS: usize = 8;
        let mut still = 0;
        let mut seen = (self.calls(), self.waiting());
        while still < TURNS || self.inside() > 0 {
            tokio::task::yield_now().await;
            let now = (self.calls(), self.waiting());
            still = if now == seen { still + 1 } else { 0 };
            seen = now;
        }
    }

    /// Makes every call wait for its turn from now on.
    pub(crate) fn close_gate(&self) {
        self.0.gated.store(true, Ordering::SeqCst);
    }

    /// Lets calls run as they come.
    pub(crate) fn open_gate(&self) {
        self.0.gated.store(false, Ordering::SeqCst);
    }

    /// Returns how many calls wait for their turn.
    pub(crate) fn waiting(&self) -> usize {
        lock(&self.0.waiting).len()
    }

    /// Returns the calls that wait, in order of arrival. Removes those whose callers are gone.
    pub(crate) fn tickets(&self) -> MutexGuard<'_, Vec<Ticket>> {
        let mut waiting = lock(&self.0.waiting);
        waiting.retain(|ticket| !ticket.is_void());
        waiting
    }

    /// Lets other operations run in the middle of a call. Stores that take several steps call this,
    /// so that a schedule can interleave the steps.
    pub async fn pause(&self) {
        if self.is_gated() {
            let _outside = Outside::of(&self.0.inside);
            // The store continues, even if the node is dead.
            self.turn(usize::MAX).await;
        } else {
            tokio::task::yield_now().await;
        }
    }

    fn is_gated(&self) -> bool {
        self.0.gated.load(Ordering::SeqCst)
    }

    async fn turn(&self, node: usize) {
        let (go, turn) = oneshot::channel();
        lock(&self.0.waiting).push(Ticket { node, go });
        if turn.await.is_err() {
            // The node of the call is dead.
            pending::<()>().await;
        }
    }

    async fn call<T: Send + 'static>(
        &self,
        node: usize,
        call: BoxFuture<Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        // Tasks that outlive their operation have no listener for their calls.
        let _ = ON_CALL.try_with(|report| report());
        if self.is_gated() {
            self.turn(node).await;
        }
        let number = self.0.calls.fetch_add(1, Ordering::SeqCst);
        let fault = lock(&self.0.plan).get(&number).copied();
        if fault.is_some() {
            self.0.hits.fetch_add(1, Ordering::SeqCst);
        }
        match fault {
            Some(Fault::Before) => return Err(StoreError::unavailable("the plan: not reached")),
            Some(Fault::KilledBefore) => return self.killed().await,
            Some(Fault::HungUp) => {
                self.interrupt(Interrupt::HungUp);
                // This drops everything that belongs only to the client.
                tokio::task::yield_now().await;
            }
            Some(Fault::Late) => {
                lock(&self.0.late).push(Box::pin(async move {
                    // No caller waits for the answer any more.
                    let _ = call.await;
                }));
                return Err(StoreError::unavailable("the plan: given up"));
            }
            Some(Fault::After | Fault::KilledAfter) | None => {}
        }
        let inside = Inside::of(&self.0.inside);
        let answer = call.await;
        drop(inside);
        match fault {
            Some(Fault::After) => Err(StoreError::unavailable("the plan: the answer is lost")),
            Some(Fault::KilledAfter) => self.killed().await,
            _ => answer,
        }
    }

    async fn killed<T>(&self) -> T {
        self.interrupt(Interrupt::Killed);
        pending().await
    }
}

/// Counts a call that is inside the store, until it returns or is dropped.
struct Inside<'a>(&'a AtomicUsize);

impl<'a> Inside<'a> {
    fn of(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Counts a call as outside the store while it waits in its middle.
struct Outside<'a>(&'a AtomicUsize);

impl<'a> Outside<'a> {
    fn of(count: &'a AtomicUsize) -> Self {
        count.fetch_sub(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Outside<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
