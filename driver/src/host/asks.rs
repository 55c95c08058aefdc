//! Answers what the node asks: state, names, HTTP, catalogue, computations. Each question is answered once, within its deadline.

use std::cell::{Cell, RefCell};
use std::io::IoSliceMut;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hexad_core::{Answer, Ask, AskFailure, CpuJob, CpuResult, HttpRequest, Input, Name, Network, Payload, ShareId, Span, Ticket};
use tokio::sync::{OnceCell, Semaphore, oneshot};

use super::config::HostConfig;
use super::reach::Names;
use super::stage::{OWN_BUCKET, Stage};
use super::state::Tell;
use super::store::{Deed, Store};
use super::work;
use crate::http::Http;
use crate::limits::Limits;
use crate::{Catalogue, Finding};

/// How long a catalogue may take for what has no deadline of its own.
const CATALOGUE_PATIENCE: Span = Span::from_secs(20);
/// What a node loads from the host's own bucket to learn its public key.
const PUBLIC_KEY: &[u8] = b"public-key";

/// The most that one question reads of a share.
const READ_BYTES_MAX: usize = 16 << 20;

/// Who answers, and how much is being answered.
pub(super) struct Asks {
    under_way: Rc<Cell<usize>>,
    max: usize,
    store: RefCell<Store>,
    http: OnceCell<Http>,
    http_turns: Semaphore,
    pub(super) names: Names,
    /// Computing leaves threads for reading from disks.
    work_turns: Semaphore,
    catalogue: Option<Arc<dyn Catalogue>>,
}

impl Asks {
    pub(super) fn new(config: &HostConfig, name: &str, tell: Tell) -> Self {
        let third = (config.blocking_threads_max / 3).max(1);
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        Self {
            under_way: Rc::default(),
            max: config.asks_max,
            store: RefCell::new(Store::new(config.state_dir.as_ref().map(|folder| folder.join(name)), tell)),
            http: OnceCell::new(),
            http_turns: Semaphore::new(config.http_exchanges_max.clamp(1, Semaphore::MAX_PERMITS)),
            names: if config.proxy.is_some() { Names::by_proxy() } else { Names::new(third, config.interface.as_deref()) },
            work_turns: Semaphore::new(third.min(cores)),
            catalogue: config.catalogue.clone(),
        }
    }

    pub(super) fn under_way(&self) -> usize {
        self.under_way.get()
    }

    /// Takes the right to have a question answered; `None` when as many are being answered as may be.
    pub(super) fn begin(&self) -> Option<Question> {
        if self.under_way.get() >= self.max {
            return None;
        }
        self.under_way.set(self.under_way.get() + 1);
        Some(Question(self.under_way.clone()))
    }

    pub(super) fn close(&self, hurry: bool) {
        self.store.borrow_mut().close(hurry);
    }

    pub(super) fn store(&self, deed: Deed) -> oneshot::Receiver<Answer> {
        self.store.borrow().ask(deed)
    }

    async fn resolve(&self, name: &Name) -> Answer {
        if !self.names.looks_up(&name.host) {
            return Answer::Failed(AskFailure::Forbidden("only the proxy looks up names".to_owned()));
        }
        match self.names.resolve(&name.host, name.port).await {
            Ok(found) => Answer::Resolved(found.iter().map(std::net::SocketAddr::ip).collect()),
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => Answer::Failed(AskFailure::TimedOut),
            Err(error) => Answer::Failed(AskFailure::Other(format!("{}: {error}", name.host))),
        }
    }

    async fn exchange(&self, request: &HttpRequest, config: &HostConfig) -> Answer {
        let exchange = async {
            let Ok(_turn) = self.http_turns.acquire().await else { return Err(AskFailure::Other("the host ends".to_owned())) };
            // The system's certificates are read from its disk.
            let making = || async {
                let (config, names) = (config.clone(), self.names.clone());
                tokio::task::spawn_blocking(move || Http::new(&config, &names))
                    .await
                    .unwrap_or_else(|error| Err(AskFailure::Other(error.to_string())))
            };
            self.http.get_or_try_init(making).await?.exchange(request).await
        };
        // Waiting for a turn counts.
        match tokio::time::timeout(request.deadline, exchange).await {
            Ok(Ok(response)) => Answer::Http(Box::new(response)),
            Ok(Err(failure)) => Answer::Failed(failure),
            Err(_) => Answer::Failed(AskFailure::TimedOut),
        }
    }

    async fn work(&self, job: hexad_core::CpuJob) -> Answer {
        let Ok(_turn) = self.work_turns.acquire().await else { return gone() };
        match tokio::task::spawn_blocking(move || work::work(job)).await {
            Ok(Ok(result)) => Answer::Worked(result),
            Ok(Err(failure)) => Answer::Failed(failure),
            Err(_) => other("the computation has panicked"),
        }
    }
}

/// One question that is being answered.
pub(super) struct Question(Rc<Cell<usize>>);

impl Drop for Question {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Puts a question of the node to whoever can answer it.
pub(super) fn ask<N: Network>(stage: &Rc<Stage<N>>, ticket: Ticket, ask: Ask) {
    let Some(question) = stage.asks.begin() else {
        return stage.hear_soon(Input::Answered(ticket, other("too many questions at once")));
    };
    if let Ask::Load(OWN_BUCKET, _) | Ask::Store(OWN_BUCKET, ..) | Ask::Forget(OWN_BUCKET, _) = ask {
        return own(stage, ticket, ask, question);
    }
    // Put before anything else runs, so that the store hears of things in the node's order.
    let stored = match &ask {
        Ask::Load(bucket, key) => Some(stage.asks.store(Deed::Load(bucket, key.clone()))),
        Ask::Store(bucket, key, Payload::Bytes(bytes)) => Some(stage.asks.store(Deed::Store(bucket, key.clone(), bytes.clone()))),
        Ask::Forget(bucket, key) => Some(stage.asks.store(Deed::Forget(bucket, key.clone()))),
        _ => None,
    };
    let stage = stage.clone();
    stage.clone().spawn(async move {
        let answer = match stored {
            Some(answer) => answer.await.unwrap_or_else(|_| gone()),
            None => answer(&stage, ask).await,
        };
        drop(question);
        stage.hear(Input::Answered(ticket, answer));
        stage.settle();
    });
}

/// The host's own bucket, which shows the node nothing but its public key.
fn own<N: Network>(stage: &Rc<Stage<N>>, ticket: Ticket, ask: Ask, question: Question) {
    let stage = stage.clone();
    stage.clone().spawn(async move {
        let answer = match ask {
            Ask::Load(_, key) if key == PUBLIC_KEY => match stage.node_key().await {
                Ok(key) => Answer::Loaded(Some(Payload::Bytes(Bytes::copy_from_slice(&key.public())))),
                Err(why) => other(&why),
            },
            _ => Answer::Failed(AskFailure::Forbidden(format!("the bucket '{OWN_BUCKET}' is the host's own"))),
        };
        drop(question);
        stage.hear(Input::Answered(ticket, answer));
        stage.settle();
    });
}

async fn answer<N: Network>(stage: &Stage<N>, ask: Ask) -> Answer {
    match ask {
        Ask::Resolve(name) => stage.asks.resolve(&name).await,
        Ask::Http(request) => {
            let answer = stage.asks.exchange(&request, &stage.config).await;
            if let Answer::Http(response) = &answer {
                take_time(&stage.config.limits, response.body.len()).await;
            }
            answer
        }
        Ask::Work(CpuJob::Sign(message)) => {
            match stage.node_key().await.and_then(|key| key.sign(&message).map_err(|error| error.to_string())) {
                Ok(signature) => Answer::Worked(CpuResult::Bytes(signature.into())),
                Err(why) => other(&why),
            }
        }
        Ask::Work(job) => stage.asks.work(job).await,
        Ask::Read(share, range) => read(stage, share, range).await,
        Ask::Query(query) => consult(stage, query.deadline, |catalogue| catalogue.find(&query), Answer::Found).await,
        Ask::Owner(name) => consult(stage, CATALOGUE_PATIENCE, |catalogue| catalogue.owner(&name), Answer::Owner).await,
        Ask::Index(deeds) => consult(stage, CATALOGUE_PATIENCE, |catalogue| catalogue.change(deeds), |()| Answer::Stored).await,
        Ask::Letters(patience) => {
            consult(stage, patience + CATALOGUE_PATIENCE, |catalogue| catalogue.letters(patience), Answer::Letters).await
        }
        Ask::Load(..) | Ask::Forget(..) => gone(),
        Ask::Store(..) => other("only real bytes can be stored"),
    }
}

/// What has come by HTTP counts as all else. It came at once, so its answer waits.
async fn take_time(limits: &Limits, bytes: u64) {
    let Some(hold) = limits.received(bytes, Instant::now()) else { return };
    while let Some(at) = hold.look_at(limits, Instant::now()) {
        tokio::time::sleep_until(at.into()).await;
    }
}

/// Puts a question to the catalogue.
async fn consult<N: Network, T>(
    stage: &Stage<N>,
    deadline: Span,
    ask: impl FnOnce(&dyn Catalogue) -> Finding<T>,
    answer: impl FnOnce(T) -> Answer,
) -> Answer {
    let Some(catalogue) = &stage.asks.catalogue else { return other("no catalogue here") };
    match tokio::time::timeout(deadline, ask(&**catalogue)).await {
        Ok(Ok(found)) => answer(found),
        Ok(Err(failure)) => Answer::Failed(failure),
        Err(_) => Answer::Failed(AskFailure::TimedOut),
    }
}

/// Reads a range of a share into memory.
async fn read<N: Network>(stage: &Stage<N>, share: ShareId, range: Range<u64>) -> Answer {
    let length = range.end.saturating_sub(range.start);
    let Some(length) = usize::try_from(length).ok().filter(|length| *length <= READ_BYTES_MAX) else {
        return Answer::Failed(AskFailure::TooLarge(READ_BYTES_MAX as u64));
    };
    let Ok(_turn) = stage.asks.work_turns.acquire().await else { return gone() };
    let source = stage.read_share.clone();
    let reading = tokio::task::spawn_blocking(move || {
        let mut bytes = vec![0; length];
        source.read(share, range.start, &mut [IoSliceMut::new(&mut bytes)], false).map(|()| bytes)
    });
    match reading.await {
        Ok(Ok(bytes)) => Answer::Loaded(Some(Payload::Bytes(bytes.into()))),
        Ok(Err(wrong)) => other(&wrong.to_string()),
        Err(_) => other("reading has panicked"),
    }
}

fn other(why: &str) -> Answer {
    Answer::Failed(AskFailure::Other(why.to_owned()))
}

fn gone() -> Answer {
    other("the host ends")
}
