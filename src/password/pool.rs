//! [`Pool`]: threads that only hash, each with its own working memory, behind a bounded queue.
//!
//! A hash takes tens of milliseconds of a core and 19 MiB. On an async thread it would stall all
//! requests of that thread. A runtime has hundreds of blocking threads, and many logins at once
//! would use all cores and gigabytes of memory there. Here at most `threads` hashes run at once,
//! and a bounded number of jobs waits for a bounded time. Further callers get
//! [`ErrorKind::Overloaded`]. The pool needs no async runtime.
//!
//! The deadline needs no timer. A thread takes the oldest job first, and answers jobs that have
//! waited too long without running them. The last late job is therefore answered when the running
//! hash is done. A client that waits so long has often gone and sent its request again. The new
//! request must not wait for the old one to be hashed.

use std::{
    collections::VecDeque,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU64, Ordering},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use serde::Serialize;
use tokio::sync::oneshot;

use super::hash_memory::Memory;
use crate::{
    clock::{Clock, Timestamp},
    error::{Error, ErrorKind},
    metrics::{self, Stopwatch, Waiting},
};

/// Counts the work of the hashing threads, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HashStats {
    /// Number of passwords that wait for a thread.
    pub waiting: usize,
    /// Number of threads that are hashing.
    pub running: usize,
    /// Number of blocks of 1 KiB that Argon2 has filled since the start.
    pub blocks_filled: u64,
}

struct Job {
    queued_at: Timestamp,
    /// Counts the job as waiting until it is dropped.
    waiting: Waiting,
    task: Box<dyn Task>,
}

/// Work of a caller, with the channel for its result.
trait Task: Send {
    /// Runs the work, or answers that it is too late.
    fn run(self: Box<Self>, turn: Turn<'_>);

    /// Returns whether the caller has dropped the call.
    fn is_unwanted(&self) -> bool;
}

struct Work<T, W> {
    reply: oneshot::Sender<Result<T, Error>>,
    work: W,
}

impl<T: Send, W: FnOnce(&mut Memory) -> T + Send> Task for Work<T, W> {
    fn run(self: Box<Self>, turn: Turn<'_>) {
        let Self { reply, work } = *self;
        if !reply.is_closed() {
            // The send fails where the caller has dropped the call. The result is not needed then.
            let _ = reply.send(match turn {
                Turn::Now(memory) => Ok(work(memory)),
                Turn::TooLate => Err(Error::new(ErrorKind::Overloaded)),
            });
        }
    }

    fn is_unwanted(&self) -> bool {
        self.reply.is_closed()
    }
}

/// What a job gets at the end of its wait.
enum Turn<'a> {
    Now(&'a mut Memory),
    TooLate,
}

pub(crate) struct Pool {
    shared: Arc<Shared>,
    capacity: usize,
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    clock: Arc<dyn Clock>,
    deadline: Duration,
    blocks_filled: Arc<AtomicU64>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    /// Number of jobs that threads have taken and not answered.
    running: usize,
    closed: bool,
}

impl Pool {
    /// Starts the threads. They end when the pool is dropped. A job waits at most `deadline`, and
    /// at most `capacity` jobs wait.
    ///
    /// # Errors
    ///
    /// Returns the error of the operating system where it refuses a thread.
    pub(crate) fn new(
        threads: usize,
        capacity: usize,
        deadline: Duration,
        clock: Arc<dyn Clock>,
    ) -> std::io::Result<Self> {
        let (queue, wake) = (Mutex::default(), Condvar::new());
        let shared = Shared { queue, wake, clock, deadline, blocks_filled: Arc::default() };
        let pool = Self { shared: Arc::new(shared), capacity };
        for number in 0..threads {
            let shared = Arc::clone(&pool.shared);
            thread::Builder::new().name(format!("portcullis-hash-{number}")).spawn(move || shared.work())?;
        }
        Ok(pool)
    }

    /// Runs `work` on one of the threads. Where the caller drops the future before that, the work
    /// does not run.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Overloaded`] where the queue is full or the deadline has passed
    /// - [`ErrorKind::Internal`] where the work panicked
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let clock = Arc::clone(&self.shared.clock);
        let queued_at = clock.now();
        let queued = Stopwatch::start(&*clock);
        let work = move |memory: &mut Memory| {
            let (waited, begun) = (queued.elapsed(&*clock), Stopwatch::start(&*clock));
            (work(memory), waited, begun.elapsed(&*clock))
        };
        self.enqueue(Job { queued_at, waiting: Waiting::begin(), task: Box::new(Work { reply, work }) })?;
        let answer = answer.await.unwrap_or_else(|error| Err(Error::internal(error)));
        let (result, waited, took) = answer?;
        metrics::hash(waited, took);
        Ok(result)
    }

    fn enqueue(&self, job: Job) -> Result<(), Error> {
        let mut queue = self.shared.lock();
        let late = queue.take_late(job.queued_at, self.shared.deadline);
        let mut unwanted = VecDeque::new();
        if queue.jobs.len() >= self.capacity {
            // Jobs whose callers have gone must not keep others out of the queue.
            (unwanted, queue.jobs) = queue.jobs.drain(..).partition(|job| job.task.is_unwanted());
        }
        let full = queue.jobs.len() >= self.capacity;
        if !full {
            queue.jobs.push_back(job);
        }
        drop(queue);
        // Outside of the lock, because a job that is dropped calls the metrics recorder of the app.
        drop(unwanted);
        for late in late {
            late.task.run(Turn::TooLate);
        }
        if full {
            return Err(Error::new(ErrorKind::Overloaded));
        }
        self.shared.wake.notify_one();
        Ok(())
    }

    pub(crate) fn stats(&self) -> HashStats {
        let (waiting, running) = {
            let queue = self.shared.lock();
            (queue.jobs.len(), queue.running)
        };
        HashStats { waiting, running, blocks_filled: self.shared.blocks_filled.load(Ordering::Relaxed) }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.closed = true;
        let unanswered = mem::take(&mut queue.jobs);
        drop(queue);
        drop(unanswered);
        self.shared.wake.notify_all();
    }
}

impl Queue {
    /// Removes the jobs that have waited too long. They are the first ones, because the queue is in
    /// the order of arrival.
    fn take_late(&mut self, now: Timestamp, deadline: Duration) -> Vec<Job> {
        let late = self.jobs.iter().take_while(|job| now.since(job.queued_at) > deadline).count();
        self.jobs.drain(..late).collect()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a job. The memory is wiped before it waits, so that no content of the last
    /// password stays. A job that is already there writes over that content instead.
    fn next(&self, memory: &mut Memory) -> Option<Job> {
        let mut queue = self.lock();
        loop {
            if queue.closed {
                return None;
            }
            if let Some(job) = queue.jobs.pop_front() {
                queue.running += 1;
                return Some(job);
            }
            if memory.is_used() {
                drop(queue);
                memory.wipe();
                queue = self.lock();
                continue;
            }
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn work(&self) {
        yield_to_requests();
        let new_memory = || Memory::counting(Arc::clone(&self.blocks_filled));
        let mut memory = new_memory();
        while let Some(job) = self.next(&mut memory) {
            let late = self.clock.now().since(job.queued_at) > self.deadline;
            let turn = if late { Turn::TooLate } else { Turn::Now(&mut memory) };
            let run = move || {
                drop(job.waiting);
                job.task.run(turn);
            };
            if catch_unwind(AssertUnwindSafe(run)).is_err() {
                memory = new_memory();
            }
            self.lock().running -= 1;
        }
    }
}

/// Niceness of the hashing threads relative to the process (`nice(2)`). Where the other threads
/// want all of a core, hashing gets a quarter of it. It gets all time that they leave.
#[cfg(target_os = "linux")]
const NICER: i32 = 5;

/// Lowers the priority of this thread below that of the threads that answer requests. A request
/// thread that wakes on a core that hashes would otherwise wait for some milliseconds.
fn yield_to_requests() {
    // On Linux `nice` changes this thread alone. Elsewhere it would change the whole process.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICER) {
        tracing::debug!(target: "portcullis", %error, "the hashing threads keep the normal priority");
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::pin,
        sync::mpsc,
        task::{Context, Waker},
    };

    use super::*;
    use crate::clock::{ManualClock, SystemClock};
    use crate::password::{argon2::Hasher, hash_cost::HashCost};

    const DEADLINE: Duration = Duration::from_secs(15);

    fn pool(capacity: usize) -> Pool {
        Pool::new(1, capacity, DEADLINE, Arc::new(SystemClock)).unwrap()
    }

    fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> bool {
        future.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[tokio::test]
    async fn a_full_queue_refuses_further_callers() {
        let pool = pool(1);
        let (started, running) = mpsc::channel();
        let (release, held) = mpsc::channel::<()>();
        let mut first = pin!(pool.run(move |_| {
            started.send(()).unwrap();
            held.recv().unwrap();
        }));
        assert!(!poll_once(first.as_mut()));
        running.recv().unwrap();
        let mut second = pin!(pool.run(|_| 2));
        assert!(!poll_once(second.as_mut()));
        let third = pool.run(|_| 3).await.unwrap_err();
        assert_eq!(third.kind(), ErrorKind::Overloaded);
        release.send(()).unwrap();
        first.await.unwrap();
        assert_eq!(second.await.unwrap(), 2);
    }

    #[tokio::test]
    async fn work_of_a_caller_that_has_gone_is_skipped() {
        let pool = pool(8);
        let (release, held) = mpsc::channel::<()>();
        let mut busy = pin!(pool.run(move |_| held.recv().unwrap()));
        assert!(!poll_once(busy.as_mut()));
        let (ran, runs) = mpsc::channel();
        {
            let mut given_up = pin!(pool.run(move |_| ran.send(()).unwrap()));
            assert!(!poll_once(given_up.as_mut()));
        }
        release.send(()).unwrap();
        busy.await.unwrap();
        pool.run(|_| ()).await.unwrap();
        assert!(runs.try_recv().is_err());
    }

    #[tokio::test]
    async fn callers_that_have_gone_leave_their_place_in_the_queue() {
        let pool = pool(1);
        let (started, running) = mpsc::channel();
        let (release, held) = mpsc::channel::<()>();
        let mut busy = pin!(pool.run(move |_| {
            started.send(()).unwrap();
            held.recv().unwrap();
        }));
        assert!(!poll_once(busy.as_mut()));
        running.recv().unwrap();
        for _ in 0..3 {
            let mut given_up = pin!(pool.run(|_| ()));
            assert!(!poll_once(given_up.as_mut()));
        }
        let mut waiting = pin!(pool.run(|_| 2));
        assert!(!poll_once(waiting.as_mut()));
        assert_eq!(pool.run(|_| 3).await.unwrap_err().kind(), ErrorKind::Overloaded);
        release.send(()).unwrap();
        busy.await.unwrap();
        assert_eq!(waiting.await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_caller_that_waits_past_the_deadline_is_refused() {
        let clock = ManualClock::new(Timestamp::EPOCH);
        let pool = Pool::new(1, 2, DEADLINE, Arc::new(clock.clone())).unwrap();
        let (started, running) = mpsc::channel();
        let (release, held) = mpsc::channel::<()>();
        let mut busy = pin!(pool.run(move |_| {
            started.send(()).unwrap();
            held.recv().unwrap();
        }));
        assert!(!poll_once(busy.as_mut()));
        running.recv().unwrap();
        let (mut first, mut second) = (pin!(pool.run(|_| 1)), pin!(pool.run(|_| 2)));
        assert!(!poll_once(first.as_mut()));
        clock.advance(DEADLINE);
        assert!(!poll_once(second.as_mut()));
        assert_eq!((pool.stats().waiting, pool.stats().running), (2, 1));
        // One moment later the first job has waited too long. The next caller gets its place.
        clock.advance(Duration::from_millis(1));
        let mut third = pin!(pool.run(|_| 3));
        assert!(!poll_once(third.as_mut()));
        assert_eq!(first.await.unwrap_err().kind(), ErrorKind::Overloaded);
        // No further caller comes, so that the thread itself finds these jobs late.
        clock.advance(DEADLINE * 2);
        release.send(()).unwrap();
        busy.await.unwrap();
        assert_eq!(second.await.unwrap_err().kind(), ErrorKind::Overloaded);
        assert_eq!(third.await.unwrap_err().kind(), ErrorKind::Overloaded);
        assert_eq!(pool.run(|_| 4).await.unwrap(), 4);
        assert_eq!(pool.stats().waiting, 0);
    }

    #[tokio::test]
    async fn a_thread_that_waits_remembers_no_password() {
        let pool = pool(8);
        let hasher = Hasher::new(HashCost::OWASP).unwrap();
        let used = pool.run(move |memory| hasher.hash(b"correct horse", memory).map(|_| memory.is_used())).await;
        assert!(used.unwrap().unwrap());
        // The thread answers before it wipes, so that no caller waits for that.
        let mut asked = 0;
        while pool.run(|memory| memory.is_used()).await.unwrap() {
            asked += 1;
            assert!(asked < 10_000, "the memory was never wiped");
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[tokio::test]
    async fn a_panic_fails_one_caller_and_leaves_the_thread_alive() {
        let pool = pool(8);
        let failed = pool.run(|_| panic!("boom")).await.map(|(): ()| ()).unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::Internal);
        assert_eq!(pool.run(|_| 7).await.unwrap(), 7);
    }
}
