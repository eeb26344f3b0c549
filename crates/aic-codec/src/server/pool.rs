//! The codec threads: one per core, fed from two bounded queues.
//!
//! Packets of streams come first; pieces of unary calls take turns behind them and never hold every thread, so that a
//! long recording cannot make a call stutter. The queues' lock is never held while coding. A panic costs the job alone.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aura_types::SharedClock;
use tokio::sync::oneshot;

/// How urgent a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// A packet of a stream: somebody is listening.
    Live,
    /// A piece of a unary call.
    Bulk,
}

/// No job is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PoolError {
    #[error("all codec threads are busy")]
    Full,
    #[error("the codec threads have stopped")]
    Stopped,
    #[error("the codec failed")]
    Panicked,
}

type Job = Box<dyn FnOnce(Duration) + Send>;

/// A handle on the threads; they end when [`Pool::stop`] was called and the queues are empty.
#[derive(Clone)]
pub(crate) struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    queues: Mutex<Queues>,
    wake: Condvar,
    clock: SharedClock,
    capacity: usize,
    threads: usize,
    busy_ns: AtomicU64,
}

#[derive(Default)]
struct Queues {
    live: VecDeque<(Instant, Job)>,
    bulk: VecDeque<(Instant, Job)>,
    bulk_running: usize,
    stopped: bool,
}

impl Pool {
    /// Starts `threads` threads; at most `capacity` jobs of each urgency wait.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(crate) fn start(threads: usize, capacity: usize, clock: SharedClock) -> std::io::Result<Self> {
        let threads = threads.max(1);
        let shared = Arc::new(Shared {
            queues: Mutex::default(),
            wake: Condvar::new(),
            clock,
            capacity,
            threads,
            busy_ns: AtomicU64::new(0),
        });
        let this = Self { shared };
        for index in 0..threads {
            let shared = Arc::clone(&this.shared);
            let spawned =
                std::thread::Builder::new().name(format!("codec-{index}")).spawn(move || work(&shared));
            if let Err(error) = spawned {
                this.stop();
                return Err(error);
            }
        }
        Ok(this)
    }

    pub(crate) fn threads(&self) -> usize {
        self.shared.threads
    }

    /// Jobs waiting now.
    pub(crate) fn queued(&self) -> usize {
        let queues = self.shared.lock();
        queues.live.len() + queues.bulk.len()
    }

    /// Thread time spent on jobs so far.
    pub(crate) fn busy(&self) -> Duration {
        Duration::from_nanos(self.shared.busy_ns.load(Ordering::Relaxed))
    }

    /// Runs `job` on a codec thread; it is told how long it waited.
    ///
    /// # Errors
    /// [`PoolError::Full`] at once when too many wait: `job` is dropped, so it must not own what is still needed;
    /// [`PoolError::Panicked`] when `job` panicked.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        urgency: Urgency,
        job: impl FnOnce(Duration) -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |waited| drop(reply.send(job(waited))));
        self.push(urgency, job)?;
        answer.await.map_err(|_| PoolError::Panicked)
    }

    fn push(&self, urgency: Urgency, job: Job) -> Result<(), PoolError> {
        let now = self.shared.clock.monotonic();
        let mut queues = self.shared.lock();
        if queues.stopped {
            return Err(PoolError::Stopped);
        }
        let queue = queues.of(urgency);
        if queue.len() >= self.shared.capacity {
            return Err(PoolError::Full);
        }
        queue.push_back((now, job));
        drop(queues);
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Refuses new jobs; the threads end after those that wait.
    pub(crate) fn stop(&self) {
        self.shared.lock().stopped = true;
        self.shared.wake.notify_all();
    }
}

impl Queues {
    fn of(&mut self, urgency: Urgency) -> &mut VecDeque<(Instant, Job)> {
        match urgency {
            Urgency::Live => &mut self.live,
            Urgency::Bulk => &mut self.bulk,
        }
    }

    fn next(&mut self, threads: usize) -> Option<(Urgency, Instant, Job)> {
        if let Some((since, job)) = self.live.pop_front() {
            return Some((Urgency::Live, since, job));
        }
        let share = threads.saturating_sub(1).max(1);
        if self.bulk_running >= share {
            return None;
        }
        let (since, job) = self.bulk.pop_front()?;
        self.bulk_running += 1;
        Some((Urgency::Bulk, since, job))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn work(shared: &Shared) {
    let mut queues = shared.lock();
    loop {
        let Some((urgency, since, job)) = queues.next(shared.threads) else {
            if queues.stopped && queues.live.is_empty() && queues.bulk.is_empty() {
                return;
            }
            queues = shared.wake.wait(queues).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        drop(queues);
        let started = shared.clock.monotonic();
        let waited = started.saturating_duration_since(since);
        // The panic hook has logged it; whoever waits learns it from the dropped answer.
        let _ = std::panic::catch_unwind(AssertUnwindSafe(|| job(waited)));
        let took = shared.clock.monotonic().saturating_duration_since(started);
        shared.busy_ns.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        queues = shared.lock();
        if urgency == Urgency::Bulk {
            queues.bulk_running -= 1;
            // Another thread may have passed over a waiting piece because of this one, or wait for the end.
            shared.wake.notify_one();
        }
        if queues.stopped {
            shared.wake.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aura_types::SystemClock;
    use futures_util::FutureExt as _;
    use std::sync::mpsc;

    fn pool(threads: usize, capacity: usize) -> Pool {
        Pool::start(threads, capacity, SystemClock::shared()).unwrap()
    }

    /// Occupies one thread until the returned sender is dropped.
    async fn block(pool: &Pool, urgency: Urgency) -> (mpsc::Sender<()>, tokio::task::JoinHandle<()>) {
        let (release, held) = mpsc::channel::<()>();
        let (started, is_started) = oneshot::channel();
        let pool = pool.clone();
        let lifecycle = aura_service::Lifecycle::new(Duration::from_secs(1));
        let running = lifecycle.spawn("blocked", async move {
            let job = move |_| {
                let _ = started.send(());
                let _ = held.recv();
            };
            pool.run(urgency, job).await.unwrap();
        });
        is_started.await.unwrap();
        (release, running)
    }

    #[tokio::test]
    async fn what_waits_is_bounded_and_live_goes_first() {
        let pool = pool(1, 2);
        let (release, running) = block(&pool, Urgency::Live).await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let note = |name: &'static str| {
            let order = Arc::clone(&order);
            move |_: Duration| order.lock().unwrap().push(name)
        };
        let mut waiting = Vec::new();
        for (urgency, name) in [(Urgency::Bulk, "bulk"), (Urgency::Live, "first"), (Urgency::Live, "second")]
        {
            let mut job = Box::pin(pool.run(urgency, note(name)));
            // Polled once, it is in the queue.
            assert!((&mut job).now_or_never().is_none());
            waiting.push(job);
        }
        assert_eq!(pool.run(Urgency::Live, |_| ()).await, Err(PoolError::Full));
        assert_eq!(pool.queued(), 3);
        drop(release);
        running.await.unwrap();
        for job in waiting {
            job.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), ["first", "second", "bulk"]);
    }

    #[tokio::test]
    async fn bulk_never_holds_every_thread() {
        let pool = pool(2, 8);
        let (release, running) = block(&pool, Urgency::Bulk).await;
        let mut second = Box::pin(pool.run(Urgency::Bulk, |_| "bulk"));
        assert!((&mut second).now_or_never().is_none());
        assert_eq!(pool.run(Urgency::Live, |_| "live").await, Ok("live"));
        assert!((&mut second).now_or_never().is_none(), "waits although a thread is idle");
        drop(release);
        running.await.unwrap();
        assert_eq!(second.await, Ok("bulk"));
    }

    #[tokio::test]
    async fn a_panic_costs_the_job_alone_and_a_stopped_pool_refuses() {
        let pool = pool(1, 8);
        let failed: Result<(), _> = pool.run(Urgency::Live, |_| panic!("on purpose")).await;
        assert_eq!(failed, Err(PoolError::Panicked));
        assert_eq!(pool.run(Urgency::Live, |_| 7).await, Ok(7));
        assert!(pool.busy() > Duration::ZERO);
        pool.stop();
        assert_eq!(pool.run(Urgency::Live, |_| ()).await, Err(PoolError::Stopped));
    }
}
