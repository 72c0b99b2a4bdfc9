//! The threads that hash: few, their own, each with its memory, behind a bounded queue.
//!
//! Argon2 takes tens of milliseconds of a core and 19 MiB. On an async thread it would stall every request of that
//! thread; on a runtime's blocking threads (hundreds of them) a login storm would take all cores and gigabytes. Here at
//! most `threads` run at once, a bounded number waits for a bounded time, and whoever comes beyond is told to come back.
//! No async runtime is assumed.
//!
//! The deadline needs no timer: threads take the oldest first and pass over those that have waited too long, so the last
//! of them is answered when the hash that runs is done. Who waits that long has often gone; the answer to the retry that
//! they sent in the meantime must not stand behind their first.

use std::{
    collections::VecDeque,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU64, Ordering},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tokio::sync::oneshot;

use super::hash_memory::Memory;
use crate::{
    clock::{Clock, Timestamp},
    error::{Error, ErrorKind},
    metrics::{self, Stopwatch, Waiting},
};

/// What the hashing threads have to do and have done, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HashStats {
    /// How many passwords wait for a thread.
    pub waiting: usize,
    /// How many threads are hashing.
    pub running: usize,
    /// How many blocks of 1 KiB Argon2 has filled since the start.
    pub blocks_filled: u64,
}

struct Job {
    queued_at: Timestamp,
    /// While it stands in the queue.
    waiting: Waiting,
    task: Box<dyn Task>,
}

/// A caller's work and the way back to them.
trait Task: Send {
    fn run(self: Box<Self>, turn: Turn<'_>);

    /// Whether the caller has hung up.
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
            // The caller may be gone by now; then nobody needs the result.
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

/// How a job's waiting ends.
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
    /// How many have been taken by threads and not been answered.
    running: usize,
    closed: bool,
}

impl Pool {
    /// Starts the threads; they end when the pool is dropped. A job waits no longer than `deadline`.
    ///
    /// # Errors
    /// What the operating system says when it refuses a thread.
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

    /// Runs `work` on one of the threads; dropped before its turn, it is never run.
    ///
    /// # Errors
    /// [`ErrorKind::Overloaded`] where the queue is full or the deadline has passed, [`ErrorKind::Internal`] where the work
    /// panicked.
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
            // Whoever sends and hangs up takes nobody's place.
            (unwanted, queue.jobs) = queue.jobs.drain(..).partition(|job| job.task.is_unwanted());
        }
        let full = queue.jobs.len() >= self.capacity;
        if !full {
            queue.jobs.push_back(job);
        }
        drop(queue);
        // Out of the lock: jobs that end are counted by whichever recorder the app has.
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
    /// Takes out those that have waited too long: the first ones, because all wait in the order of their coming.
    fn take_late(&mut self, now: Timestamp, deadline: Duration) -> Vec<Job> {
        let late = self.jobs.iter().take_while(|job| now.since(job.queued_at) > deadline).count();
        self.jobs.drain(..late).collect()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a job; nothing of the last password is left while there is none. One that is there already writes over it.
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

/// How much nicer than the rest of the process hashing is (`nice(2)`): a quarter of a core's time where the other threads want
/// all of it, and all that they leave.
#[cfg(target_os = "linux")]
const NICER: i32 = 5;

/// Lets whoever answers requests go first: woken on a core that hashes, they would else wait for some milliseconds.
fn yield_to_requests() {
    // For this thread alone, as Linux has it; elsewhere it would be for the whole process.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICER) {
        tracing::debug!(target: "portcullis", %error, "hashing has the priority of everything else");
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
    async fn beyond_the_queue_callers_are_told_to_come_back() {
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
    async fn work_that_nobody_waits_for_is_skipped() {
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
    async fn whoever_hangs_up_takes_nobodys_place() {
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
    async fn whoever_waits_past_the_deadline_is_told_to_come_back() {
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
        // One moment later the first has waited too long; who comes next finds its place.
        clock.advance(Duration::from_millis(1));
        let mut third = pin!(pool.run(|_| 3));
        assert!(!poll_once(third.as_mut()));
        assert_eq!(first.await.unwrap_err().kind(), ErrorKind::Overloaded);
        // Nobody comes any more, so that the thread itself finds them late.
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
        // The thread answers first, so that nobody waits for the wiping.
        let mut asked = 0;
        while pool.run(|memory| memory.is_used()).await.unwrap() {
            asked += 1;
            assert!(asked < 10_000, "it still does");
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
