//! ONNX Runtime as a shared library: found at run time, one environment per process, sessions in pools.
//!
//! A session runs on one thread, so that a machine scales by sessions and one call never waits for another's threads.
//! Streams own their memory and borrow a session per frame; what a session computes depends on nothing else.

use std::env;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;

use ort::environment::Environment;
use ort::ep::{CUDA, ExecutionProvider};
use ort::logging::LogLevel;
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::value::{Outlet, TensorElementType, ValueType};

use crate::error::CodecError;
use crate::model::graph;

/// Sessions of one network, at most.
const MAX_SESSIONS: usize = 64;

/// What a network runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// One core per session.
    #[default]
    Cpu,
    /// A CUDA device by number; the library must have been built with CUDA. For these networks the way to the device
    /// and back takes longer than the arithmetic: it frees cores, it does not cut latency.
    Cuda(i32),
}

/// Where ONNX Runtime is and how it shall run.
#[derive(Clone, Debug, Default)]
pub struct OnnxSettings {
    /// `libonnxruntime.so` 1.24 or later. The first one loaded serves the whole process.
    pub library: Option<PathBuf>,
    /// What to run on.
    pub device: Device,
    /// Sessions per network; 0 is one per core.
    pub sessions: usize,
}

impl OnnxSettings {
    /// From the environment: `AIC_ONNXRUNTIME` or `ORT_DYLIB_PATH` (the library), `AIC_ONNX_DEVICE` (`cpu`, `cuda` or
    /// `cuda:1`), `AIC_ONNX_SESSIONS`.
    ///
    /// # Errors
    /// [`CodecError::Unavailable`] naming the variable that cannot be understood.
    pub fn from_env() -> Result<Self, CodecError> {
        let library = ["AIC_ONNXRUNTIME", "ORT_DYLIB_PATH"]
            .into_iter()
            .filter_map(env::var_os)
            .find(|path| !path.is_empty());
        let device = match env::var("AIC_ONNX_DEVICE").as_deref() {
            Err(_) | Ok("" | "cpu") => Device::Cpu,
            Ok("cuda") => Device::Cuda(0),
            Ok(other) => match other.strip_prefix("cuda:").map(str::parse) {
                Some(Ok(number)) => Device::Cuda(number),
                _ => {
                    return Err(CodecError::Unavailable(format!(
                        "AIC_ONNX_DEVICE={other}: cpu, cuda or cuda:N"
                    )));
                }
            },
        };
        let sessions = match env::var("AIC_ONNX_SESSIONS").as_deref() {
            Err(_) | Ok("") => 0,
            Ok(text) => text
                .parse()
                .map_err(|_| CodecError::Unavailable(format!("AIC_ONNX_SESSIONS={text}: a number")))?,
        };
        Ok(Self { library: library.map(PathBuf::from), device, sessions })
    }

    fn count(&self) -> usize {
        let cores = || available_parallelism().map_or(1, std::num::NonZero::get);
        if self.sessions == 0 { cores() } else { self.sessions }.min(MAX_SESSIONS)
    }
}

/// The process's environment and where its library came from.
static LOADED: Mutex<Option<(PathBuf, Environment)>> = Mutex::new(None);

fn environment(settings: &OnnxSettings) -> Result<Environment, CodecError> {
    let mut loaded = lock(&LOADED);
    let unavailable = |reason: String| CodecError::Unavailable(format!("ONNX Runtime: {reason}"));
    match (&*loaded, &settings.library) {
        (Some((path, _)), Some(wish)) if path != wish => {
            Err(unavailable(format!("{} is loaded already, so {} cannot be", path.display(), wish.display())))
        }
        (Some((_, environment)), _) => Ok(environment.clone()),
        (None, None) => {
            Err(unavailable("neither AIC_ONNXRUNTIME nor ORT_DYLIB_PATH names its library".into()))
        }
        (None, Some(path)) => {
            // A path that is no file would be searched for in the system's folders.
            if !path.is_file() {
                return Err(unavailable(format!("{} is not a file", path.display())));
            }
            let builder = ort::init_from(path).map_err(|error| unavailable(error.to_string()))?;
            let built = builder.with_name("aic").with_telemetry(false).with_logger(Arc::new(log)).build();
            let environment = built.map_err(|error| unavailable(error.to_string()))?;
            environment.set_log_level(LogLevel::Warning);
            *loaded = Some((path.clone(), environment.clone()));
            Ok(environment)
        }
    }
}

/// The runtime's own words. What it refuses comes back as an error and is logged where that is handled.
fn log(level: LogLevel, category: &str, _session: &str, _location: &str, message: &str) {
    match level {
        LogLevel::Fatal | LogLevel::Error | LogLevel::Warning => {
            tracing::debug!(category, message, "ONNX Runtime");
        }
        LogLevel::Info | LogLevel::Verbose => tracing::trace!(category, message, "ONNX Runtime"),
    }
}

/// One graph's sessions.
#[derive(Debug)]
pub(crate) struct Pool {
    idle: Mutex<Vec<Session>>,
    returned: Condvar,
}

/// A borrowed session.
pub(crate) struct Borrowed<'a> {
    pool: &'a Pool,
    session: Option<Session>,
}

impl Pool {
    /// `file` is the name errors carry.
    pub(crate) fn open(file: &str, bytes: &[u8], settings: &OnnxSettings) -> Result<Self, CodecError> {
        graph::check(file, bytes)?;
        let environment = environment(settings)?;
        let open =
            || builder(&environment, settings.device, file)?.commit_from_memory(bytes).map_err(refused(file));
        let idle = (0..settings.count()).map(|_| open()).collect::<Result<_, _>>()?;
        Ok(Self { idle: Mutex::new(idle), returned: Condvar::new() })
    }

    /// Waits for a session; each is held for one frame.
    pub(crate) fn borrow(&self) -> Borrowed<'_> {
        let mut idle = lock(&self.idle);
        loop {
            if let Some(session) = idle.pop() {
                return Borrowed { pool: self, session: Some(session) };
            }
            idle = self.returned.wait(idle).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Runs `work` on every session, before streams come.
    pub(crate) fn each(
        &self,
        mut work: impl FnMut(&mut Session) -> Result<(), CodecError>,
    ) -> Result<(), CodecError> {
        lock(&self.idle).iter_mut().try_for_each(&mut work)
    }
}

impl std::ops::Deref for Borrowed<'_> {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.session.as_ref().expect("taken on drop only")
    }
}

impl std::ops::DerefMut for Borrowed<'_> {
    fn deref_mut(&mut self) -> &mut Session {
        self.session.as_mut().expect("taken on drop only")
    }
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        lock(&self.pool.idle).extend(self.session.take());
        self.pool.returned.notify_one();
    }
}

fn builder(environment: &Environment, device: Device, file: &str) -> Result<SessionBuilder, CodecError> {
    // A failed step hands the builder back inside its error; only the reason matters.
    let build = || -> Result<SessionBuilder, ort::Error> {
        Ok(Session::builder(environment)?
            .with_intra_threads(1)?
            .with_inter_threads(1)?
            .with_intra_op_spinning(false)?
            .with_flush_to_zero()?
            .with_optimization_level(GraphOptimizationLevel::All)?)
    };
    let mut builder = build().map_err(refused(file))?;
    if let Device::Cuda(number) = device {
        let provider = CUDA::default().with_device_id(number);
        provider
            .register(&mut builder)
            .map_err(|error| CodecError::Unavailable(format!("CUDA device {number}: {error}")))?;
    }
    Ok(builder)
}

fn refused(file: &str) -> impl FnOnce(ort::Error) -> CodecError {
    move |error| {
        // The runtime quotes the file's contents, so the message may be long.
        let reason: String = error.to_string().chars().take(300).collect();
        CodecError::model(file, reason)
    }
}

pub(crate) fn failed(error: ort::Error) -> CodecError {
    CodecError::Backend(error.to_string())
}

/// Refuses a graph whose ports are not exactly these: name, element type and shape.
pub(crate) fn expect_ports<'a>(
    file: &str,
    kind: &str,
    ports: &[Outlet],
    wishes: impl IntoIterator<Item = (&'a str, TensorElementType, &'a [i64])>,
) -> Result<(), CodecError> {
    let mut count = 0;
    for (name, element, dims) in wishes {
        count += 1;
        let port = ports
            .iter()
            .find(|port| port.name() == name)
            .ok_or_else(|| CodecError::model(file, format!("has no {kind} {name}")))?;
        let fits = match *port.dtype() {
            // A dimension left open (-1) takes ours.
            ValueType::Tensor { ty, ref shape, .. } => {
                ty == element
                    && shape.len() == dims.len()
                    && shape.iter().zip(dims).all(|(dim, wish)| dim == wish || *dim == -1)
            }
            _ => false,
        };
        if !fits {
            let reason = format!("{kind} {name} is {}, not {element} {dims:?}", port.dtype());
            return Err(CodecError::model(file, reason));
        }
    }
    if ports.len() == count {
        Ok(())
    } else {
        Err(CodecError::model(file, format!("has {} {kind}s, not {count}", ports.len())))
    }
}

/// A panic elsewhere left nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
