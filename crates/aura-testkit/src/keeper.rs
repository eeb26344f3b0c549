//! Keeps a server on a thread of its own. A child process ends with the thread that started it, so a server
//! shared between tests must not be started from any one test's thread.

use std::fmt;
use std::sync::mpsc;
use std::thread;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

type Job<S> = Box<dyn FnOnce(&mut S, &Runtime) + Send>;

pub(crate) struct Keeper<S> {
    /// `None` only while dropping: the thread ends when nobody can send any more.
    jobs: Option<mpsc::Sender<Job<S>>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// Waits for the server to end, so that its files are gone before the test is.
impl<S> Drop for Keeper<S> {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl<S> fmt::Debug for Keeper<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keeper")
    }
}

impl<S: 'static> Keeper<S> {
    /// Runs `start` on the new thread; the server ends when the keeper is dropped.
    pub(crate) fn start(name: &str, start: impl FnOnce(&Runtime) -> S + Send + 'static) -> Self {
        let (jobs, queue) = mpsc::channel::<Job<S>>();
        let (started, is_started) = mpsc::channel();
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let runtime =
                    Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
                let mut server = start(&runtime);
                let _ = started.send(());
                while let Ok(job) = queue.recv() {
                    job(&mut server, &runtime);
                }
                let _inside = runtime.enter();
                drop(server);
            })
            .expect("a thread can be made");
        is_started.recv().unwrap_or_else(|_| panic!("{name} did not start; see its panic above"));
        Self { jobs: Some(jobs), thread: Some(thread) }
    }

    /// Runs `job` on the server's thread.
    pub(crate) async fn with<R: Send + 'static>(
        &self,
        job: impl FnOnce(&mut S, &Runtime) -> R + Send + 'static,
    ) -> R {
        let (reply, answer) = oneshot::channel();
        let job: Job<S> = Box::new(move |server, runtime| {
            let _ = reply.send(job(server, runtime));
        });
        let jobs = self.jobs.as_ref().expect("not being dropped");
        assert!(jobs.send(job).is_ok(), "the thread lives as long as its keeper");
        answer.await.expect("the job ran; if not, its panic is above")
    }
}
