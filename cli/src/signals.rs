//! Ctrl-C, SIGTERM and SIGHUP stop a task in order; the second one ends the program at once.

use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use hexad_api::Stop;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The exit status of a program that a signal has ended, as shells have it.
pub const INTERRUPTED: i32 = 130;

/// What stops a task, shared between whoever follows it and the signals.
#[derive(Clone)]
pub struct Stopper(Arc<Mutex<Box<dyn Stop>>>);

impl Stopper {
    /// Lets signals stop the task from now on.
    pub fn watch(stop: Box<dyn Stop>) -> Self {
        let stopper = Self(Arc::new(Mutex::new(stop)));
        let own = stopper.clone();
        on_first(move || own.stop());
        stopper
    }

    /// Stops the task; does nothing when it was stopped before. Returns when it is stopped.
    pub fn stop(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).stop();
    }
}

/// Calls `stop` at the first signal that comes after this has returned, on a thread of its own; the second signal ends the program whatever that
/// thread does.
pub fn on_first(stop: impl FnOnce() + Send + 'static) {
    let (ready, listening) = mpsc::channel();
    thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async {
            let Ok(mut signals) = Signals::listen() else { return };
            drop(ready);
            signals.next().await;
            thread::spawn(stop);
            signals.next().await;
            std::process::exit(INTERRUPTED);
        });
    });
    // Ends when the other end is dropped.
    let _: Result<(), _> = listening.recv();
}

/// One listener for all, so that no signal falls between two.
struct Signals([Signal; 3]);

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self([signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?]))
    }

    async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
