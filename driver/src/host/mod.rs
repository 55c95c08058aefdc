//! Runs one network's node on real sockets, a real clock and a real disk.
//!
//! A host is one thread: the node, all its sockets and their buffers live there, so nothing is locked and no message goes through a channel.
//! What would block goes elsewhere: hashing and writing to `transfers`, cold reads, names and computations to a few blocking threads.
//! The session holds a [`Handle`] and hears [`Events`], which end when the host has ended, whatever ended it.

mod alarm;
mod asks;
mod config;
mod conn;
mod doors;
mod handle;
mod key;
mod letters;
mod line;
mod multicast;
mod name_servers;
mod outgoing;
mod pool;
mod post;
mod quic;
pub(crate) mod reach;
mod stage;
mod state;
mod store;
mod stream;
mod utp;
mod wire;
mod work;

use std::io;
use std::marker::PhantomData;
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use hexad_core::{Dice, Input, Level, Network, Note};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::LocalSet;
use tokio::time::Instant;

pub use self::config::HostConfig;
pub(crate) use self::conn::connect;
pub(crate) use self::doors::socket;
pub use self::handle::{Events, Handle, HostEvent};
pub use self::key::NodeKey;

use self::asks::Asks;
use self::handle::{Command, Over, Tally, Teller};
use self::stage::Stage;
use crate::{Deliveries, ReadShare};

/// How long a host may take to end in order.
const GOODBYE: Duration = Duration::from_secs(1);
/// How often an ending or a paused host looks whether it can go on.
const LOOK: Duration = Duration::from_millis(5);
/// Commands of the session that are carried out before sockets get their turn.
const COMMANDS_AT_A_TIME: usize = 256;

/// Runs nodes of network `N`.
#[derive(Debug)]
pub struct Host<N>(PhantomData<N>);

impl<N: Network> Host<N> {
    /// Starts a node on a thread of its own. What it delivers goes to `deliveries`, what it sends of shares is read from `read_share`.
    ///
    /// When the system gives no thread or no randomness, the events end at once.
    pub fn start(
        node: N::Config,
        config: HostConfig,
        deliveries: Arc<dyn Deliveries>,
        read_share: Arc<dyn ReadShare>,
    ) -> (Handle<N>, Events<N>) {
        let (commands, heard) = unbounded_channel();
        let (events, to_session) = unbounded_channel();
        let (over, tally) = (Arc::new(Over::default()), Arc::new(Tally::default()));
        let handle = Handle::new(commands, over.clone(), tally.clone());
        let teller = Teller::new(events, tally.clone());
        let ending = Ending(over);
        let started = thread::Builder::new().name(format!("hexad-{}", N::NAME)).spawn(move || {
            ending.0.begin();
            let ran = panic::catch_unwind(AssertUnwindSafe(|| run::<N>(node, config, teller, heard, deliveries, read_share)));
            match ran {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(network = N::NAME, %error, "the host cannot run"),
                Err(_) => tracing::error!(network = N::NAME, "the host has panicked"),
            }
            drop(ending);
        });
        if let Err(error) = started {
            tracing::error!(network = N::NAME, %error, "the host's thread cannot be started");
        }
        (handle, Events::new(to_session, tally))
    }
}

/// Says that the host is over when it is dropped, however that comes about.
struct Ending(Arc<Over>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The life of a host's thread.
fn run<N: Network>(
    node: N::Config,
    config: HostConfig,
    teller: Teller<N>,
    commands: UnboundedReceiver<Command<N>>,
    deliveries: Arc<dyn Deliveries>,
    read_share: Arc<dyn ReadShare>,
) -> io::Result<()> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| io::Error::other(error.to_string()))?;
    let mut dice = Dice::secure(seed);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(config.blocking_threads_max.max(1)).build()?;
    let tasks = LocalSet::new();
    let hurry = tasks.block_on(&runtime, async {
        let node = N::node(node, &mut dice);
        let of_state = teller.clone();
        let tell =
            move |detail: String| of_state.note(Note { level: Level::Warn, code: "state_broken", peer: None, detail: detail.into() });
        let asks = Asks::new(&config, N::NAME, Box::new(tell));
        let stage = Rc::new(Stage::new(node, dice, config, asks, teller, deliveries, read_share));
        let hurry = attend(&stage, commands).await;
        stage.doors.borrow_mut().close_all();
        stage.asks.close(hurry);
        hurry
    });
    // Tasks hold the sockets.
    drop(tasks);
    tracing::debug!(network = N::NAME, hurry, "the host has ended");
    // A blocking thread may be stuck in a disk or a name server.
    runtime.shutdown_background();
    Ok(())
}

/// Does what the session and the clock ask for, until the host is to end; true when it is to end at once.
async fn attend<N: Network>(stage: &Rc<Stage<N>>, mut commands: UnboundedReceiver<Command<N>>) -> bool {
    let mut leave_by: Option<Instant> = None;
    loop {
        if stage.is_doomed() {
            return true;
        }
        if let Some(until) = leave_by
            && (stage.is_idle() || Instant::now() >= until)
        {
            stage.part_with_all();
            while stage.connections() > 0 && Instant::now() < until {
                tokio::time::sleep(LOOK).await;
            }
            let leaving = stage.doors.borrow_mut().take_leaving();
            for quic in leaving {
                quic.part().await;
            }
            return false;
        }
        let wake = stage.alarm.borrow().next().map(|at| stage.instant(at));
        let look = (leave_by.is_some() || stage.is_paused()).then(|| Instant::now() + LOOK);
        let due = match (wake, look) {
            (Some(wake), Some(look)) => Some(wake.min(look)),
            (wake, look) => wake.or(look),
        };
        tokio::select! {
            biased;
            command = commands.recv() => {
                let mut next = command;
                let mut done = 0;
                while let Some(command) = next {
                    if let Command::Shutdown { gracefully } = command {
                        if !gracefully {
                            return true;
                        }
                        // What was asked for before comes first.
                        stage.settle();
                        stage.doors.borrow_mut().close_all();
                        leave_by.get_or_insert(Instant::now() + GOODBYE);
                    } else {
                        obey(stage, command);
                    }
                    done += 1;
                    next = if done < COMMANDS_AT_A_TIME { commands.try_recv().ok() } else { None };
                }
                // Nobody holds the host any more.
                if done == 0 {
                    leave_by.get_or_insert(Instant::now() + GOODBYE);
                    tokio::time::sleep(LOOK).await;
                }
            }
            () = stage.bell.notified() => {}
            () = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            } => {}
        }
        stage.hear_inbox();
        let now = stage.now();
        let due = stage.alarm.borrow_mut().due(now);
        for timer in due {
            stage.hear(Input::Elapsed(timer));
        }
        stage.settle();
        stage.resume();
        if stage.has_inbox() {
            stage.bell.notify_one();
            tokio::task::yield_now().await;
        }
    }
}

fn obey<N: Network>(stage: &Rc<Stage<N>>, command: Command<N>) {
    match command {
        Command::Start(op, operation) => stage.hear(Input::Start(op, operation)),
        Command::Cancel(op) => stage.hear(Input::Cancel(op)),
        Command::SetShares(shares) => stage.set_shares(shares),
        Command::Leased(lease, ranges) => stage.hear(Input::Leased(lease, ranges)),
        Command::Elsewhere(lease, ranges) => stage.hear(Input::Elsewhere(lease, ranges)),
        Command::Judged(lease, range, verdict) => stage.hear(Input::Judged(lease, range, verdict)),
        Command::Relieved => stage.resume(),
        Command::Shutdown { .. } => {}
    }
}
