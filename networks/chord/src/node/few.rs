//! A list that mostly has one thing in it, which then is where the list is and not behind a pointer: virtual nodes of a host, paths of a lookup.

use std::ops::{Deref, DerefMut};

/// A list that mostly has one thing in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Few<T> {
    /// Exactly one.
    One(T),
    /// None, or several.
    Many(Vec<T>),
}

impl<T> From<Vec<T>> for Few<T> {
    fn from(mut things: Vec<T>) -> Self {
        match things.pop() {
            Some(only) if things.is_empty() => Self::One(only),
            Some(last) => {
                things.push(last);
                Self::Many(things)
            }
            None => Self::Many(things),
        }
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::One(thing) => std::slice::from_ref(thing),
            Self::Many(things) => things,
        }
    }
}

impl<T> DerefMut for Few<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Self::One(thing) => std::slice::from_mut(thing),
            Self::Many(things) => things,
        }
    }
}
