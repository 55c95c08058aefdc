//! Ctrl-C and SIGTERM stop a task in order; the second one ends the program at once.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use hexad_api::Stop;

/// What stops a task, shared between whoever follows it and the signals.
#[derive(Clone)]
pub struct Stopper(Arc<Mutex<Box<dyn Stop>>>);

impl Stopper {
    /// Lets signals stop the task from now on.
    pub fn watch(stop: Box<dyn Stop>) -> Self {
        let stopper = Self(Arc::new(Mutex::new(stop)));
        let own = stopper.clone();
        thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
            runtime.block_on(async {
                one_signal().await;
                let stopping = thread::spawn(move || own.stop());
                one_signal().await;
                drop(stopping);
                std::process::exit(130);
            });
        });
        stopper
    }

    /// Stops the task; does nothing when it was stopped before.
    pub fn stop(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).stop();
    }
}

async fn one_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
