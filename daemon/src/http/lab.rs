//! Runs of the lab beside the node, one at a time, on a thread of their own.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_FRAME_OPTIONS};
use axum::response::IntoResponse;
use hexad_api::node::{Change, Changes, Feed};
use hexad_api::{LabEvent, LabReport, LabRequest, LabRun, LabRunState, LabScenario, Laboratory, NewLabRun, Problem, ProblemKind};

use super::Here;
use super::answer::{Answer, Given, Numbered, Refused};

/// Runs whose outcome is remembered.
const RUNS_KEPT: usize = 16;
/// Events that wait for slow readers.
const EVENTS_KEPT: usize = 256;
/// How often it is told how a run goes.
const PACE: Duration = Duration::from_millis(200);
/// Bytes of a report that is shown.
const REPORT_BYTES_MAX: u64 = 64 << 20;
/// What a report may do: draw and compute, nothing else.
const REPORT_POLICY: &str = "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
                             img-src data: blob:; frame-ancestors 'self'";

/// The runs that this node has begun.
pub(super) struct Runs {
    laboratory: Arc<dyn Laboratory>,
    book: Mutex<Book>,
    feed: Feed,
}

#[derive(Default)]
struct Book {
    last_id: u64,
    kept: VecDeque<LabRun>,
}

impl Runs {
    pub(super) fn new(laboratory: Arc<dyn Laboratory>) -> Self {
        Self { laboratory, book: Mutex::default(), feed: Feed::new(env!("CARGO_PKG_VERSION"), EVENTS_KEPT) }
    }

    /// How runs go, from here on.
    pub(super) fn changes(&self) -> Changes {
        self.feed.changes()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, id: u64) -> Result<LabRun, Problem> {
        let found = self.book().kept.iter().find(|run| run.id == id).cloned();
        found.ok_or_else(|| Problem::new(format!("there is no run {id}")).hint("begin one").kind(ProblemKind::NotFound))
    }

    fn note(&self, id: u64, change: impl FnOnce(&mut LabRun)) {
        if let Some(run) = self.book().kept.iter_mut().find(|run| run.id == id) {
            change(run);
        }
    }

    /// Takes down a run to be begun.
    fn enter(&self) -> Result<LabRun, Problem> {
        let mut book = self.book();
        if let Some(run) = book.kept.iter().find(|run| run.state == LabRunState::Running) {
            let problem = Problem::new(format!("run {} of the lab is still going on", run.id));
            return Err(problem.hint("wait until it is done").kind(ProblemKind::Conflict));
        }
        book.last_id += 1;
        let run = LabRun { id: book.last_id, state: LabRunState::Running, phase: None, progress: None, report: None, problem: None };
        book.kept.push_back(run.clone());
        while book.kept.len() > RUNS_KEPT {
            book.kept.pop_front();
        }
        Ok(run)
    }

    /// Runs to the end; whoever looks meanwhile sees how it goes.
    fn play(&self, id: u64, wanted: NewLabRun) {
        let mut told: Option<Instant> = None;
        let mut hear = |event: LabEvent| {
            let is_step = matches!(event, LabEvent::Step { .. });
            if is_step && told.is_some_and(|told| told.elapsed() < PACE) {
                return;
            }
            told = is_step.then(Instant::now);
            self.note(id, |run| match &event {
                LabEvent::Scenario { .. } | LabEvent::Job { .. } => {}
                LabEvent::Phase { name } => (run.phase, run.progress) = (Some(name.clone()), Some(0.0)),
                LabEvent::Step { done, .. } => run.progress = Some(*done),
            });
            self.feed.tell(Change::Lab { run: id, event });
        };
        let request = LabRequest { scenario: wanted.scenario, set: wanted.set, threads: 1, out: None };
        let outcome = catch_unwind(AssertUnwindSafe(|| self.laboratory.run(request, &mut hear)));
        let outcome =
            outcome.unwrap_or_else(|_| Err(Problem::new("the run has panicked, which is a mistake of ours").kind(ProblemKind::Internal)));
        self.note(id, |run| finish(run, outcome));
        // The last event, by which whoever listens knows that there is something to load.
        self.feed.tell(Change::Lab { run: id, event: LabEvent::Step { done: 1.0, events: 0 } });
    }
}

fn finish(run: &mut LabRun, outcome: Result<LabReport, Problem>) {
    (run.phase, run.progress) = (None, None);
    match outcome {
        Ok(report) => (run.state, run.report) = (LabRunState::Done, Some(report)),
        Err(problem) => (run.state, run.problem) = (LabRunState::Failed, Some(problem)),
    }
}

/// Lists scenarios of the lab
#[utoipa::path(get, path = "/api/lab/scenarios", responses((status = 200, body = Vec<LabScenario>), Refused))]
pub(super) async fn scenarios(State(face): Here) -> Json<Vec<LabScenario>> {
    Json(face.runs.laboratory.scenarios())
}

/// Begins a run of the lab
#[utoipa::path(post, path = "/api/lab/runs", request_body = NewLabRun, responses((status = 201, body = LabRun), Refused))]
pub(super) async fn begin(State(face): Here, Given(wanted): Given<NewLabRun>) -> Answer<(StatusCode, Json<LabRun>)> {
    if !face.runs.laboratory.scenarios().iter().any(|scenario| scenario.name == wanted.scenario) {
        let problem = Problem::new(format!("there is no scenario '{}'", wanted.scenario));
        return Err(problem.hint("GET api/lab/scenarios names them all").into());
    }
    let run = face.runs.enter()?;
    let (playing, id) = (face.clone(), run.id);
    let begun = std::thread::Builder::new().name("hexad-lab".into()).spawn(move || playing.runs.play(id, wanted));
    if begun.is_err() {
        let problem = Problem::new("the run cannot be begun: there are too many threads").kind(ProblemKind::Unavailable);
        face.runs.note(run.id, |run| finish(run, Err(problem.clone())));
        return Err(problem.into());
    }
    Ok((StatusCode::CREATED, Json(run)))
}

/// Says how a run goes, and what it came to
#[utoipa::path(get, path = "/api/lab/runs/{id}", params(("id" = u64, Path)), responses((status = 200, body = LabRun), Refused))]
pub(super) async fn run(State(face): Here, Numbered(id): Numbered) -> Answer<Json<LabRun>> {
    Ok(Json(face.runs.find(id)?))
}

/// Shows the last report of the lab
#[utoipa::path(get, path = "/api/lab/report", responses((status = 200, body = String, content_type = "text/html"), Refused))]
pub(super) async fn report(State(face): Here) -> Answer<impl IntoResponse> {
    let none = || {
        Problem::new("there is no report of the lab yet")
            .hint("`hexad lab report FOLDER --to-node` puts one here")
            .kind(ProblemKind::NotFound)
    };
    let path = face.lab_report.clone().ok_or_else(none)?;
    let read = move || {
        let length = std::fs::metadata(&path).ok()?.len();
        if length > REPORT_BYTES_MAX {
            return None;
        }
        std::fs::read(&path).ok()
    };
    let text = tokio::task::spawn_blocking(read).await.map_err(|_| Refused::internal())?.ok_or_else(none)?;
    let headers = [(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, REPORT_POLICY), (X_FRAME_OPTIONS, "SAMEORIGIN")];
    Ok((headers, text))
}
