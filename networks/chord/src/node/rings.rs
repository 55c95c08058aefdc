//! The virtual nodes of a host: one, mostly, which then is where the host is and not behind another pointer.

use std::ops::{Deref, DerefMut};

use super::Ring;
use crate::place::Place;

/// All virtual nodes of a host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Rings<A: Place> {
    /// Exactly one.
    One(Ring<A>),
    /// None, or several.
    Many(Vec<Ring<A>>),
}

impl<A: Place> From<Vec<Ring<A>>> for Rings<A> {
    fn from(mut rings: Vec<Ring<A>>) -> Self {
        match rings.pop() {
            Some(only) if rings.is_empty() => Self::One(only),
            Some(last) => {
                rings.push(last);
                Self::Many(rings)
            }
            None => Self::Many(rings),
        }
    }
}

impl<A: Place> Deref for Rings<A> {
    type Target = [Ring<A>];

    fn deref(&self) -> &[Ring<A>] {
        match self {
            Self::One(ring) => std::slice::from_ref(ring),
            Self::Many(rings) => rings,
        }
    }
}

impl<A: Place> DerefMut for Rings<A> {
    fn deref_mut(&mut self) -> &mut [Ring<A>] {
        match self {
            Self::One(ring) => std::slice::from_mut(ring),
            Self::Many(rings) => rings,
        }
    }
}
