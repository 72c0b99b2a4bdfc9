//! The threads that hash: few, their own, each with its memory, behind a bounded queue.
//!
//! Argon2 takes tens of milliseconds of a core and 19 MiB. On an async thread it would stall every request of that
//! thread; on a runtime's blocking threads (hundreds of them) a login storm would take all cores and gigabytes. Here at
//! most `threads` run at once, `queue` wait, and whoever comes then is told to come back. No async runtime is assumed.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use tokio::sync::oneshot;

use super::hasher::Memory;
use crate::error::{Error, ErrorKind};

type Job = Box<dyn FnOnce(&mut Memory) + Send>;

pub(crate) struct Pool {
    shared: Arc<Shared>,
    capacity: usize,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Pool {
    /// Starts the threads; they end when the pool is dropped.
    ///
    /// # Errors
    /// What the operating system says when it refuses a thread.
    pub(crate) fn new(threads: usize, capacity: usize) -> std::io::Result<Self> {
        let pool = Self { shared: Arc::default(), capacity };
        for number in 0..threads {
            let shared = Arc::clone(&pool.shared);
            thread::Builder::new().name(format!("portcullis-hash-{number}")).spawn(move || shared.work())?;
        }
        Ok(pool)
    }

    /// Runs `work` on one of the threads; dropped before its turn, it is never run.
    ///
    /// # Errors
    /// [`ErrorKind::Overloaded`] where the queue is full, [`ErrorKind::Internal`] where the work panicked.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.enqueue(Box::new(move |memory| {
            if !reply.is_closed() {
                // The caller may be gone by now; then nobody needs the result.
                let _ = reply.send(work(memory));
            }
        }))?;
        answer.await.map_err(|error| Error::new(ErrorKind::Internal).with_source(error))
    }

    fn enqueue(&self, job: Job) -> Result<(), Error> {
        let mut queue = self.shared.lock();
        if queue.jobs.len() >= self.capacity {
            return Err(Error::new(ErrorKind::Overloaded));
        }
        queue.jobs.push_back(job);
        drop(queue);
        self.shared.wake.notify_one();
        Ok(())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.closed = true;
        queue.jobs.clear();
        drop(queue);
        self.shared.wake.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<Job> {
        let mut queue = self.lock();
        loop {
            if queue.closed {
                return None;
            }
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn work(&self) {
        let mut memory = Memory::default();
        while let Some(job) = self.next() {
            if catch_unwind(AssertUnwindSafe(|| job(&mut memory))).is_err() {
                memory = Memory::default();
            }
        }
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

    fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> bool {
        future.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[tokio::test]
    async fn beyond_the_queue_callers_are_told_to_come_back() {
        let pool = Pool::new(1, 1).unwrap();
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
        let pool = Pool::new(1, 8).unwrap();
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
    async fn a_panic_fails_one_caller_and_leaves_the_thread_alive() {
        let pool = Pool::new(1, 8).unwrap();
        let failed = pool.run(|_| panic!("boom")).await.map(|(): ()| ()).unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::Internal);
        assert_eq!(pool.run(|_| 7).await.unwrap(), 7);
    }
}
