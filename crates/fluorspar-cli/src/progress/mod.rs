//! What the user sees of work in progress: bars, lines or JSON, on stderr.

mod bars;
mod estimate;
mod event;
mod json;
mod lines;
mod timestamp;

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fluorspar_pipeline::{Error, Observer, Step, peak_memory, resident_memory};

use crate::arguments::Log;
use crate::stop::{NOTICE, Stop};
use bars::Bars;
use estimate::{Current, Estimate};
use event::{Event, Snapshot};
use json::Json;
use lines::Lines;

/// How often requests to stop are looked for, and bars are drawn.
const TICK: Duration = Duration::from_millis(200);

/// Somewhere to show events.
trait Face: Send {
    fn show(&mut self, event: &Event<'_>);
    /// Time between two [`Event::Progress`].
    fn period(&self) -> Duration;
}

/// Follows the work and shows it, from a thread of its own.
pub(crate) struct Progress {
    shared: Arc<Shared>,
    ticker: Option<(Sender<()>, JoinHandle<()>)>,
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Progress").finish_non_exhaustive()
    }
}

struct Shared {
    state: Mutex<State>,
    /// Frames of the step in work that are done; apart from the rest, so that
    /// workers never wait for the display.
    done: AtomicU64,
    stop: Stop,
    /// Warnings and requests to stop are all that is shown.
    quiet: bool,
    budget: u64,
}

struct State {
    face: Box<dyn Face>,
    estimate: Estimate,
    plan: Vec<Step>,
    running: Option<Running>,
    /// When progress was shown last.
    shown: Instant,
    stopping: bool,
}

/// The step in work.
struct Running {
    name: String,
    units: u64,
    bytes_per_unit: u64,
    begun: Instant,
    /// When progress was first seen, and how much of it.
    first: Option<(Instant, u64)>,
}

impl Progress {
    /// Shows what is observed as `log` asks; `budget` is what the process may
    /// hold in bytes.
    pub(crate) fn new(log: Log, quiet: bool, budget: usize, stop: Stop) -> Self {
        let face: Box<dyn Face> = match log {
            Log::Json => Box::new(Json::to(std::io::stderr())),
            Log::Text if std::io::stderr().is_terminal() => Box::new(Bars::default()),
            Log::Text => Box::new(Lines::to(std::io::stderr())),
        };
        Self::with_face(face, quiet, budget as u64, stop)
    }

    fn with_face(face: Box<dyn Face>, quiet: bool, budget: u64, stop: Stop) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                face,
                estimate: Estimate::default(),
                plan: Vec::new(),
                running: None,
                shown: Instant::now(),
                stopping: false,
            }),
            done: AtomicU64::new(0),
            stop,
            quiet,
            budget,
        });
        let (end, ended) = mpsc::channel();
        let ticking = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("progress".into());
        let ticker = thread.spawn(move || {
            while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                ticking.tick();
            }
        });
        Self {
            shared,
            // Without the thread there is no moving display; the work goes on.
            ticker: ticker.ok().map(|ticker| (end, ticker)),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((end, ticker)) = self.ticker.take() {
            drop(end);
            // It has failed only if drawing has; that is no reason to fail.
            let _ = ticker.join();
        }
        // A request that came too late for the last tick is still answered.
        self.shared.tick();
    }
}

impl Shared {
    fn with(&self, act: impl FnOnce(&mut State)) {
        // A poisoned lock only means that another thread failed while drawing.
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn show(&self, state: &mut State, event: &Event<'_>) {
        let always = matches!(event, Event::Warn(_) | Event::Stopping(_));
        if always || !self.quiet {
            state.face.show(event);
        }
    }

    /// Answers a request to stop, once, and shows progress when it is due.
    fn tick(&self) {
        self.with(|state| {
            if !state.stopping && self.stop.asked() {
                state.stopping = true;
                self.show(state, &Event::Stopping(NOTICE));
            }
            let done = self.done.load(Ordering::Relaxed);
            let Some(running) = &mut state.running else {
                return;
            };
            if done > 0 && running.first.is_none() {
                running.first = Some((Instant::now(), done));
            }
            if !self.quiet && state.shown.elapsed() >= state.face.period() {
                let snapshot = state.snapshot(done, self.budget);
                state.shown = Instant::now();
                if let Some(snapshot) = snapshot {
                    state.face.show(&Event::Progress(&snapshot));
                }
            }
        });
    }
}

impl State {
    fn snapshot(&self, done: u64, budget: u64) -> Option<Snapshot> {
        let running = self.running.as_ref()?;
        let share = |done: u64| {
            (running.units > 0).then(|| (done as f64 / running.units as f64).clamp(0.0, 1.0))
        };
        let first = running.first;
        let current = Current {
            name: &running.name,
            seconds: running.begun.elapsed().as_secs_f64(),
            share: share(done),
            since_first: first.map_or(0.0, |(at, _)| at.elapsed().as_secs_f64()),
            first_share: first.and_then(|(_, done)| share(done)).unwrap_or(0.0),
        };
        Some(Snapshot {
            step: running.name.clone(),
            // Some stages go through the movie more than once.
            done: if running.units > 0 {
                done.min(running.units)
            } else {
                done
            },
            units: running.units,
            bytes_per_unit: running.bytes_per_unit,
            seconds: current.seconds,
            left: self.estimate.left(&current),
            share: (!self.estimate.is_empty()).then(|| self.estimate.share(&current)),
            resident: resident_memory(),
            peak: peak_memory(),
            budget,
        })
    }
}

impl Observer for Progress {
    fn plan(&self, steps: &[Step]) {
        self.shared.with(|state| {
            state.estimate.plan(steps);
            state.plan = steps.to_vec();
            self.shared.show(state, &Event::Plan(steps));
        });
    }

    fn start(&self, step: &str, units: u64) {
        self.shared.with(|state| {
            let planned = state.plan.iter().find(|planned| planned.name == step);
            self.shared.done.store(0, Ordering::Relaxed);
            state.running = Some(Running {
                name: step.to_owned(),
                units,
                bytes_per_unit: planned.map_or(0, |planned| planned.bytes_per_unit),
                begun: Instant::now(),
                first: None,
            });
            state.shown = Instant::now();
            self.shared.show(state, &Event::Start(step, units));
        });
    }

    fn advance(&self, units: u64) {
        self.shared.done.fetch_add(units, Ordering::Relaxed);
    }

    fn finish(&self, step: &str, seconds: f64) {
        self.shared.with(|state| {
            let done = self.shared.done.swap(0, Ordering::Relaxed);
            state.estimate.finish(step, seconds);
            let snapshot = state.snapshot(done, self.shared.budget);
            let running = state.running.take().map_or(0, |running| running.units);
            let snapshot = Snapshot {
                step: step.to_owned(),
                // Whatever was told on the way, the step is done.
                done: if running > 0 { running } else { done },
                seconds,
                left: None,
                ..snapshot.unwrap_or_default()
            };
            self.shared.show(state, &Event::Finish(&snapshot));
        });
    }

    fn skip(&self, step: &str) {
        self.shared.with(|state| {
            state.estimate.skip(step);
            self.shared.show(state, &Event::Skip(step));
        });
    }

    fn note(&self, message: &str) {
        self.shared
            .with(|state| self.shared.show(state, &Event::Note(message)));
    }

    fn warn(&self, message: &str) {
        self.shared
            .with(|state| self.shared.show(state, &Event::Warn(message)));
    }

    fn stop(&self) -> bool {
        self.shared.stop.asked()
    }
}

/// Says on stderr why the program ends, in the form that `log` asks for.
pub(crate) fn failure(log: Log, error: &Error) {
    let message = if error.is_stopped() {
        // How deep in a stage it was is of no interest.
        Error::Stopped.to_string()
    } else {
        error.to_string()
    };
    match log {
        Log::Json => {
            let mut log = Json::to(std::io::stderr());
            log.failure(error.is_stopped(), &message, error.exit_code());
        }
        Log::Text if error.is_stopped() => eprintln!("{message}"),
        Log::Text => eprintln!("error: {message}"),
    }
}

#[cfg(test)]
mod tests;
