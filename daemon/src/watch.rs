//! Two small tasks: one that only takes part in a network, and one that asks for what a single network can do.

use hexad_api::{Event, Problem};
use hexad_core::OpId;

use crate::books::Books;
use crate::listener::Listener;
use crate::source::unnumbered;

/// The books of such a task.
pub(crate) struct Watch {
    /// The task's name.
    pub(crate) task: OpId,
    pub(crate) network: usize,
    /// What was asked for; without it, the task is to take part.
    pub(crate) asked: Option<OpId>,
    events: Listener,
    over: bool,
}

impl Watch {
    /// Takes part in a network.
    pub(crate) fn join(books: &mut Books, network: usize, events: Listener) -> Self {
        Self { task: books.op(), network, asked: None, events, over: false }
    }

    /// Asks for something.
    pub(crate) fn ask(books: &mut Books, network: usize, events: Listener) -> Self {
        let task = books.op();
        Self { task, network, asked: Some(books.op()), events, over: false }
    }

    /// Tells whoever watches; nobody may.
    pub(crate) fn tell(&self, event: Event) {
        self.events.send(event);
    }

    /// What was asked for is complete.
    pub(crate) fn done(&mut self) {
        if !std::mem::replace(&mut self.over, true) {
            self.tell(Event::Done);
        }
    }

    /// Over without success, once.
    pub(crate) fn fail(&mut self, problem: &Problem) {
        if !std::mem::replace(&mut self.over, true) {
            self.tell(Event::Failed { message: unnumbered(&problem.message), hint: problem.hint.clone() });
        }
    }
}
