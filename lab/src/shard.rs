//! A part of the world, for one thread: some machines and what happens to them.
//!
//! Machines reach each other through events that travel for at least the latency floor. So all parts may run a window of that length without
//! hearing of each other; what they have for others is handed over between windows. The order in which a machine sees its events is that of
//! their keys, however many parts there are.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Barrier, Mutex, PoisonError};

use hexad_core::{Network, Outbox, Span, Time};

use crate::desk::Report;
use crate::event::{Event, In, Reply, Step, Timer};
use crate::lab::{Forge, NodeIndex, Tamper, Watcher};
use crate::machine::Machine;
use crate::queue::{Next, Post, Queue};
use crate::tally::Tally;
use crate::world::World;

/// So many machines do not fit into the processor's own memory.
const LARGE: usize = 1 << 12;
/// Events whose machines are read ahead.
const AHEAD: usize = 32;
/// How far behind pointers.
const DEPTHS: u8 = 3;

/// What all parts see and none changes.
pub(crate) struct Scene<N: Network> {
    pub(crate) world: World,
    pub(crate) configs: Vec<N::Config>,
    pub(crate) tamper: Option<Box<Tamper<N>>>,
    pub(crate) forge: Option<Box<Forge<N>>>,
}

/// One part.
pub(crate) struct Shard<N: Network> {
    number: usize,
    pub(crate) machines: Vec<Machine<N>>,
    pub(crate) queue: Queue<Event<N>, Timer<N>>,
    /// For each shard, what has to be handed over; empty where there is only one.
    away: Vec<Vec<Post<Event<N>>>>,
    pub(crate) tally: Tally,
    pub(crate) reports: Vec<(NodeIndex, Report<Reply<N>>)>,
    outbox: Outbox<N::Node>,
    heard: Vec<In<N>>,
}

impl<N: Network> Shard<N> {
    pub(crate) fn new(number: usize, shards: usize) -> Self {
        Self {
            number,
            machines: Vec::new(),
            queue: Queue::new(),
            away: if shards > 1 { (0..shards).map(|_| Vec::new()).collect() } else { Vec::new() },
            tally: Tally::default(),
            reports: Vec::new(),
            outbox: Outbox::new(),
            heard: Vec::new(),
        }
    }

    /// Makes room for so many more machines.
    pub(crate) fn reserve(&mut self, count: usize) {
        if count > 1 {
            self.machines.reserve_exact(count);
        }
    }

    pub(crate) fn step<'a>(
        &'a mut self,
        now: Time,
        scene: &'a Scene<N>,
        watcher: Option<&'a mut Watcher<N>>,
    ) -> (&'a mut [Machine<N>], Step<'a, N>) {
        let step = Step {
            world: &scene.world,
            configs: &scene.configs,
            now,
            queue: &mut self.queue,
            shard: self.number,
            away: &mut self.away,
            tally: &mut self.tally,
            outbox: &mut self.outbox,
            heard: &mut self.heard,
            reports: &mut self.reports,
            watcher,
            tamper: scene.tamper.as_deref(),
            forge: scene.forge.as_deref(),
        };
        (&mut self.machines, step)
    }

    /// Carries out all events up to and including `until`.
    pub(crate) fn run(&mut self, until: Time, scene: &Scene<N>, mut watcher: Option<&mut Watcher<N>>) {
        let large = self.machines.len() >= LARGE;
        let mut warm = 0;
        loop {
            if large && warm == 0 && self.queue.peek_until(until).is_some() {
                warm = self.warm();
            }
            if !self.run_one(until, scene, watcher.as_deref_mut()) {
                return;
            }
            warm = warm.saturating_sub(1);
        }
    }

    /// Reads the next events and the machines to which they go, so that their memory comes at the same time; returns how many events that is good for.
    fn warm(&self) -> usize {
        let shards = self.away.len().max(1);
        let mut sum = 0_usize;
        for depth in 0..DEPTHS {
            for (to, event) in self.queue.upcoming(AHEAD) {
                sum = sum.wrapping_add(self.machines.get(to as usize / shards).map_or(0, |machine| machine.warm(depth)));
                sum = sum.wrapping_add(event.map_or(0, |event| event.warm(depth)));
            }
        }
        std::hint::black_box(sum);
        AHEAD
    }

    fn run_one(&mut self, until: Time, scene: &Scene<N>, watcher: Option<&mut Watcher<N>>) -> bool {
        let Some((key, next)) = self.queue.pop_until(until) else { return false };
        self.tally.events += 1;
        let place = if self.away.is_empty() { key.to as usize } else { key.to as usize / self.away.len() };
        let (machines, mut step) = self.step(key.at, scene, watcher);
        if let Some(machine) = machines.get_mut(place) {
            match next {
                Next::Event(event) => machine.on_event(key.from, event, &mut step),
                Next::Wake { life, timer } => machine.on_wake(life, timer, &mut step),
            }
        }
        true
    }
}

/// Hands over what shards have for each other.
pub(crate) fn exchange<N: Network>(shards: &mut [Shard<N>]) {
    for from in 0..shards.len() {
        for to in 0..shards[from].away.len() {
            for post in std::mem::take(&mut shards[from].away[to]) {
                shards[to].queue.push(post);
            }
        }
    }
}

/// Carries out all events up to and including `until` in the order of their keys, on this thread.
pub(crate) fn run_together<N: Network>(shards: &mut [Shard<N>], until: Time, scene: &Scene<N>, watcher: &mut Watcher<N>) {
    while let Some(last) = window(shards.iter().filter_map(|shard| shard.queue.next_bound()).min(), until, &scene.world) {
        while let Some((_, number)) = shards.iter_mut().filter_map(|shard| Some((shard.queue.peek_until(last)?, shard.number))).min() {
            shards[number].run_one(last, scene, Some(watcher));
        }
        exchange(shards);
    }
}

/// The last moment of the window that begins with the next event: what happens in it concerns other machines only later.
fn window(next: Option<Time>, until: Time, world: &World) -> Option<Time> {
    let next = next.filter(|&next| next <= until)?;
    Some((next + (world.space.floor() - Span::from_micros(1))).min(until))
}

/// Where one shard puts what another has to take.
type Mailbox<N> = Mutex<Vec<Post<Event<N>>>>;

/// What the threads of a run share.
struct Table<N: Network> {
    /// By sender and receiver.
    mail: Vec<Vec<Mailbox<N>>>,
    /// When each shard goes on at the earliest, microseconds.
    next: Vec<AtomicU64>,
    barrier: Barrier,
    /// The first panic of a thread; all stop before the next window.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

const NEVER: u64 = u64::MAX;

/// Carries out all events up to and including `until`, each shard on a thread of its own.
pub(crate) fn run_apart<N: Network>(shards: &mut [Shard<N>], until: Time, scene: &Scene<N>) {
    if shards.iter().filter_map(|shard| shard.queue.next_bound()).all(|next| next > until) {
        return;
    }
    let count = shards.len();
    let table = Table::<N> {
        mail: (0..count).map(|_| (0..count).map(|_| Mutex::new(Vec::new())).collect()).collect(),
        next: (0..count).map(|_| AtomicU64::new(NEVER)).collect(),
        barrier: Barrier::new(count),
        panic: Mutex::new(None),
    };
    std::thread::scope(|scope| {
        let (mine, others) = shards.split_first_mut().expect("there is a shard");
        for shard in others {
            let table = &table;
            scope.spawn(move || run_windows(shard, until, scene, table));
        }
        run_windows(mine, until, scene, &table);
    });
    if let Some(panic) = table.panic.into_inner().unwrap_or_else(PoisonError::into_inner) {
        resume_unwind(panic);
    }
}

fn run_windows<N: Network>(shard: &mut Shard<N>, until: Time, scene: &Scene<N>, table: &Table<N>) {
    let me = shard.number;
    let lock = |mailbox: &'_ Mailbox<N>| std::mem::take(&mut *mailbox.lock().unwrap_or_else(PoisonError::into_inner));
    loop {
        for from in &table.mail {
            for post in lock(&from[me]) {
                shard.queue.push(post);
            }
        }
        let next = shard.queue.next_bound().map_or(NEVER, Time::as_micros);
        table.next[me].store(next, Ordering::Release);
        // Asked between the barriers: behind the next one another thread may already fail in its next window, and a
        // thread that stops one window earlier than the others leaves them waiting.
        let failed = table.panic.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        table.barrier.wait();
        let first = table.next.iter().map(|next| next.load(Ordering::Acquire)).min().unwrap_or(NEVER);
        let first = (first != NEVER && !failed).then(|| Time::from_micros(first));
        let Some(last) = window(first, until, &scene.world) else { return };
        // A node that fails an assertion must not leave the other threads waiting.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| shard.run(last, scene, None))) {
            table.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panic);
        }
        for (to, posts) in shard.away.iter_mut().enumerate() {
            if !posts.is_empty() {
                table.mail[me][to].lock().unwrap_or_else(PoisonError::into_inner).append(posts);
            }
        }
        table.barrier.wait();
    }
}
