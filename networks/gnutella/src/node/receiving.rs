//! What sources were asked for, and what comes of it. Spec §18.

use hexad_content::{Ranges, Shape};
use hexad_core::{ConnId, Context, Endpoint, Level, OpId, Output, Payload, Span};

use super::describing::{agrees, tree_at};
use super::fetching::{FAILURES_MAX, REST};
use super::hosts::is_usable;
use super::peers::{alternates, available};
use super::suppliers::{Coming, Question, Supplier, Way};
use super::{Node, Out};
use crate::locator::Locator;
use crate::wire::{Headers, Request, Response};

/// Requests under way at one source.
const PIPELINE: usize = 2;

impl Node {
    /// A connection to or from a source is open.
    pub(crate) fn on_supplier_open(&mut self, op: OpId, number: u32, conn: ConnId, cx: &mut Context<'_>, out: &mut Out) {
        let Some(supplier) = self.fetches.get_mut(&op).and_then(|fetch| fetch.suppliers.get_mut(&number)) else {
            return self.drop_peer(conn, "no longer wanted", out);
        };
        supplier.way = Way::Conn(conn);
        supplier.open = true;
        supplier.heard = cx.now;
        self.describe_or_feed(op, number, conn, cx, out);
    }

    /// Gives every source that is ready something to do.
    pub(crate) fn feed(&mut self, op: OpId, cx: &mut Context<'_>, out: &mut Out) {
        let request_bytes = self.config.request_bytes.max(1);
        let own = self.own();
        let mut plain = self.headers(None);
        let Some(fetch) = self.fetches.get_mut(&op).filter(|fetch| fetch.leased) else { return };
        if self.offers.as_ref().is_some_and(|offers| offers.has_gained(fetch.share))
            && let Some(own) = own
        {
            // What has come is given on at once.
            plain.add("X-Alt", own.to_string());
        }
        let ready = |supplier: &Supplier| supplier.open && supplier.described && supplier.rests_until <= cx.now;
        let numbers: Vec<u32> = fetch.suppliers.iter().filter(|(_, supplier)| ready(supplier)).map(|(&number, _)| number).collect();
        for number in numbers {
            while let Some(supplier) = fetch.suppliers.get(&number) {
                // Only programs like ours are known to take a request before the last one is answered.
                let pipeline = if supplier.ours { PIPELINE } else { 1 };
                if supplier.asked.len() + usize::from(supplier.coming.is_some()) >= pipeline {
                    break;
                }
                if supplier.assigned.is_empty() {
                    let Some(range) = fetch.assign(number, request_bytes) else {
                        // Where one gives after the other, nobody else has to find something.
                        if !fetch.single {
                            fetch.others.starve(fetch.lease, out);
                        }
                        break;
                    };
                    fetch.others.claim(fetch.lease, Ranges::of(range), out);
                }
                let Some(supplier) = fetch.suppliers.get_mut(&number) else { break };
                let Some(first) = supplier.assigned.iter().next() else { break };
                let range = first.start..first.end.min(first.start.saturating_add(request_bytes));
                let Way::Conn(conn) = supplier.way else { break };
                if !supplier.is_busy() {
                    supplier.heard = cx.now;
                }
                supplier.assigned.remove(range.clone());
                supplier.asked.push_back(Question::Bytes(range.clone()));
                let mut headers = plain.clone();
                if let Some(at) = &supplier.at {
                    headers.add("Host", at.to_string());
                }
                headers.add("Range", format!("bytes={}-{}", range.start, range.end - 1));
                out.send_to(conn, Request::get(supplier.target.clone(), headers).into());
            }
        }
    }

    pub(crate) fn on_supplier_response(
        &mut self,
        op: OpId,
        number: u32,
        conn: ConnId,
        response: &Response,
        cx: &mut Context<'_>,
        out: &mut Out,
    ) {
        let max = self.config.description_bytes_max as u64;
        let own = self.own();
        let Some(fetch) = self.fetches.get_mut(&op) else { return self.drop_peer(conn, "no longer wanted", out) };
        let Some(supplier) = fetch.suppliers.get_mut(&number) else { return self.drop_peer(conn, "no longer wanted", out) };
        supplier.heard = cx.now;
        let Some(question) = supplier.asked.pop_front() else { return };
        let body = response.body_bytes();
        supplier.available = available(&response.headers);
        let teller = supplier.at.as_ref().and_then(Endpoint::ip);
        let ours = supplier.ours;
        for at in alternates(&response.headers).filter(|at| is_usable(*at, teller) && own != Some(*at)) {
            let token = if ours { fetch.token.clone() } else { String::new() };
            let locator = Locator { token, digests: fetch.digests.clone(), name: fetch.name.clone(), ..Locator::default() };
            fetch.add(Some(Endpoint::Ip(at.into())), &locator, cx.now);
        }
        let root = fetch.tiger();
        let Some(supplier) = fetch.suppliers.get_mut(&number) else { return };
        if let Some(path) = root.and_then(|root| tree_at(&response.headers, root)) {
            supplier.tree_at = Some(path);
        }
        match (question, response.code) {
            (Question::Tree, _) => self.on_tree_response(op, number, response, cx, out),
            (Question::Shape, 200) if body.is_some_and(|bytes| (1..=max).contains(&bytes)) => {
                supplier.coming = Some(Coming::Shape(Vec::new(), body.unwrap_or(0)));
            }
            (Question::Head, 200 | 206) => {
                let size = response.content_range().and_then(|(_, total)| total).or(body);
                let Some(size) = size else { return self.lose_supplier(op, number, conn, "says no size", cx, out) };
                fetch.size_bytes = Some(size);
                self.describe_or_feed(op, number, conn, cx, out);
            }
            (Question::Bytes(asked), 200 | 206) => {
                let total = fetch.shape.as_ref().map_or(0, |shape| shape.layout.total_bytes());
                let (range, of) = match response.content_range() {
                    Some((range, of)) => (range, of),
                    None => (0..body.unwrap_or(total), None),
                };
                let fits =
                    range.start == asked.start && range.end <= asked.end && body.is_none_or(|bytes| bytes == range.end - range.start);
                if !fits || of.is_some_and(|of| of != total) {
                    out.note(Level::Drop, "another_range", supplier.at.clone(), "");
                    supplier.assigned.insert(asked);
                    return self.lose_supplier(op, number, conn, "sends another range", cx, out);
                }
                // A server may give less than was asked for; the rest is asked for again.
                if range.end < asked.end {
                    supplier.assigned.insert(range.end..asked.end);
                }
                supplier.failures = 0;
                supplier.coming = Some(Coming::Bytes(range));
            }
            (Question::Bytes(asked), code @ (503 | 416)) => {
                let wait = polls_after(&response.headers).map_or(REST, Span::from_secs).clamp(Span::from_secs(1), Span::from_secs(300));
                out.note(Level::Debug, "source_cannot_yet", supplier.at.clone(), format!("{code}"));
                supplier.rests_until = cx.now + if code == 503 { wait } else { REST };
                fetch.progress = if code == 503 { cx.now } else { fetch.progress };
                supplier.coming = body.filter(|bytes| *bytes > 0).map(Coming::Nothing);
                // What it does not give others may; it is asked for something when it has rested.
                let mut back = std::mem::take(&mut supplier.assigned);
                back.insert(asked);
                let missing = back.both(&fetch.missing);
                fetch.wanted.insert_all(&missing);
                self.feed(op, cx, out);
            }
            (question, code) => {
                out.note(Level::Debug, "source_refuses", supplier.at.clone(), format!("{code} {}", response.reason));
                supplier.asked.push_front(question);
                supplier.failures = supplier.failures.max(FAILURES_MAX - 2);
                self.lose_supplier(op, number, conn, "refuses", cx, out);
            }
        }
    }

    fn lose_supplier(&mut self, op: OpId, number: u32, conn: ConnId, why: &'static str, cx: &mut Context<'_>, out: &mut Out) {
        self.drop_peer(conn, why, out);
        self.on_supplier_lost(op, number, cx, out);
        self.fail_if_hopeless(op, out);
    }

    pub(crate) fn on_supplier_data(&mut self, op: OpId, number: u32, conn: ConnId, body: Payload, cx: &mut Context<'_>, out: &mut Out) {
        let Some(fetch) = self.fetches.get_mut(&op) else { return };
        let Some(supplier) = fetch.suppliers.get_mut(&number) else { return };
        supplier.heard = cx.now;
        match &mut supplier.coming {
            Some(Coming::Bytes(range)) => {
                let length = body.len().min(range.end - range.start);
                if length != body.len() {
                    return self.lose_supplier(op, number, conn, "sends more than it said", cx, out);
                }
                let at = range.start;
                range.start += length;
                if range.is_empty() {
                    supplier.coming = None;
                }
                fetch.given.add(at..at + length, number);
                fetch.progress = cx.now;
                out.push(Output::Deliver(fetch.lease, at, body));
                if supplier.coming.is_none() {
                    self.feed(op, cx, out);
                }
            }
            Some(Coming::Shape(so_far, awaited)) => {
                if let Payload::Bytes(bytes) = &body {
                    so_far.extend_from_slice(bytes);
                }
                if (so_far.len() as u64) < *awaited {
                    return;
                }
                let bytes = std::mem::take(so_far);
                supplier.coming = None;
                let shape = Shape::read(&bytes).ok().filter(|shape| agrees(shape, &fetch.token, &fetch.digests));
                let peer = supplier.at.clone();
                let fine = shape.is_some_and(|shape| self.describe(op, shape, cx, out));
                if !fine {
                    out.note(Level::Drop, "description_of_something_else", peer, "");
                    if let Some(supplier) = self.fetches.get_mut(&op).and_then(|fetch| fetch.suppliers.get_mut(&number)) {
                        supplier.failures = FAILURES_MAX;
                    }
                    return self.lose_supplier(op, number, conn, "describes something else", cx, out);
                }
                if let Some(supplier) = self.fetches.get_mut(&op).and_then(|fetch| fetch.suppliers.get_mut(&number)) {
                    supplier.described = true;
                }
                self.feed(op, cx, out);
            }
            Some(Coming::Tree(so_far, awaited)) => {
                if let Payload::Bytes(bytes) = &body {
                    so_far.extend_from_slice(bytes);
                }
                if (so_far.len() as u64) >= *awaited {
                    let bytes = std::mem::take(so_far);
                    supplier.coming = None;
                    self.on_tree(op, number, &bytes, cx, out);
                }
            }
            Some(Coming::Nothing(left)) => {
                *left = left.saturating_sub(body.len());
                if *left == 0 {
                    supplier.coming = None;
                }
            }
            None => {}
        }
    }
}

/// After how many seconds somebody who waits in line asks again: `Retry-After`, or the least that `X-Queue` allows. Spec §18.
fn polls_after(headers: &Headers) -> Option<u64> {
    let least = headers.find("X-Queue").and_then(|queue| {
        let pairs = queue.split([',', ';']).filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(key, _)| key.trim().eq_ignore_ascii_case("pollMin")).and_then(|(_, value)| value.trim().parse().ok())
    });
    // Whoever asks before that loses his place.
    headers.number("Retry-After").max(least)
}
