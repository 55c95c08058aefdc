//! What a central index carries: a Napster server in a process of its own, and the load that `cargo xtask bench napster` puts on it over real sockets.
//!
//! One process is the server on one core; this one plays all its users on the other. Every user is a connection of its own with its own library.
//! A user searches only when the answer to the search before has ended, as the protocol wants it.

mod names;
mod server;
mod users;

use std::io;
use std::time::{Duration, Instant};

use names::Names;
use server::Server;
use users::{Crowd, User, connect, library};

/// What is asked for: users, files of each, who searches, seconds of a run, the server's core.
struct Wishes {
    users: usize,
    files: usize,
    searchers: usize,
    seconds: f64,
    core: Option<String>,
}

fn wishes() -> Result<Wishes, String> {
    let mut wishes = Wishes { users: 10_000, files: 1_000_000, searchers: 128, seconds: 10.0, core: None };
    let mut words = std::env::args().skip(1);
    while let Some(key) = words.next() {
        let value = words.next().ok_or_else(|| format!("{key}: expected a value"))?;
        let count = || value.parse::<usize>().map_err(|_| format!("{key}: expected a number, came {value}"));
        match key.as_str() {
            "--users" => wishes.users = count()?,
            "--files" => wishes.files = count()?,
            "--searchers" => wishes.searchers = count()?,
            "--seconds" => wishes.seconds = value.parse().map_err(|_| format!("{key}: expected a number, came {value}"))?,
            "--server-core" => wishes.core = Some(value),
            _ => return Err(format!("unknown: {key}")),
        }
    }
    if wishes.searchers + 1 > wishes.users || wishes.files < wishes.users {
        return Err("expected fewer searchers than users, and at least one file for each".into());
    }
    Ok(wishes)
}

fn main() {
    if std::env::args().nth(1).as_deref() == Some("serve") {
        return server::serve();
    }
    let ended = wishes().and_then(|wishes| run(&wishes).map_err(|error| error.to_string()));
    if let Err(why) = ended {
        eprintln!("napster_load: {why}");
        std::process::exit(1);
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn float(number: usize) -> f64 {
    number as f64
}

fn say(figure: &str, value: f64, unit: &str, wanted: &str) {
    println!("| {figure} | {value:.1} {unit} | {wanted} |");
}

/// The value below which that share of the sorted `times` lies.
fn quantile(times: &[Duration], share: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let place = ((float(times.len()) * share) as usize).min(times.len().saturating_sub(1));
    times.get(place).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
}

fn run(wishes: &Wishes) -> io::Result<()> {
    let server = Server::start(wishes.core.as_deref())?;
    let mut names = Names::new();
    let empty = server.resident_bytes()?;

    let mut users = Vec::with_capacity(wishes.users);
    for number in 0..wishes.users {
        users.push(User::log_in(server.address, &format!("user{number}"))?);
    }
    let idle = server.resident_bytes()?;
    let each = wishes.files / wishes.users;
    let began = Instant::now();
    let mut making = Duration::ZERO;
    for (number, user) in users.iter_mut().enumerate() {
        let now = Instant::now();
        let files = library(number, each, &mut names);
        making += now.elapsed();
        user.share(&files)?;
    }
    let shared_s = began.elapsed().saturating_sub(making).as_secs_f64();
    let full = server.resident_bytes()?;
    let files = each * wishes.users;

    println!("| figure | measured | wanted |\n|---|---:|---:|");
    say("users logged in", float(users.len()), "", "10000");
    say("files", float(files), "", "1000000");
    say("memory of a connection", float(idle - empty) / float(wishes.users), "B", "");
    say("memory of a file", float(full.saturating_sub(idle)) / float(files), "B", "250");
    say("files taken in", float(files) / shared_s, "/s", "");

    let searching = users.split_off(users.len() - wishes.searchers);
    let mut crowd = Crowd::new(searching, &names)?;
    crowd.at_full_speed(Duration::from_secs(2))?;
    let cpu = server.cpu_s()?;
    let full_speed = crowd.at_full_speed(Duration::from_secs_f64(wishes.seconds))?;
    let cpu = server.cpu_s()? - cpu;
    let rate = float(full_speed.times.len()) / full_speed.seconds;
    say("searches a second, two words, at most 20 answers", rate, "/s", "20000");
    say("answers of a search", float(full_speed.answers) / float(full_speed.times.len()), "", "");
    say("server's CPU a search", cpu / float(full_speed.times.len()) * 1e6, "us", "");
    say("server's CPU", cpu / full_speed.seconds * 100.0, "%", "");

    for (name, rate, wanted) in [("half load", rate / 2.0, "5.0"), ("10000 searches a second", 10_000.0, "5.0")] {
        let mut half = crowd.at_rate(rate, Duration::from_secs_f64(wishes.seconds), None)?;
        half.times.sort_unstable();
        say(&format!("{name}: searches a second"), float(half.times.len()) / half.seconds, "/s", "");
        say(&format!("{name}: p50"), quantile(&half.times, 0.5), "ms", "");
        say(&format!("{name}: p99"), quantile(&half.times, 0.99), "ms", wanted);
        say(&format!("{name}: slowest"), quantile(&half.times, 1.0), "ms", "");
    }

    for count in 0..4 {
        let mut times = Vec::new();
        for _ in 0..50 {
            times.push(users[0].search(&names.bomb(count))?);
        }
        times.sort_unstable();
        say(&format!("search bomb of the {} commonest words: slowest of 50", count + 1), quantile(&times, 1.0), "ms", "20.0");
    }

    // The host takes half of the descriptors that a process may have; some leave, so that others find room.
    users.truncate(users.len().saturating_sub(50));
    users[0].share(&library(wishes.users + 50, 0, &mut names))?;
    let mut logins = Vec::new();
    for number in 0..20 {
        let files = library(wishes.users + number, 1000, &mut names);
        let began = Instant::now();
        let mut user = User::log_in(server.address, &format!("late{number}"))?;
        let in_after = began.elapsed();
        user.share(&files)?;
        logins.push((began.elapsed(), in_after));
    }
    logins.sort_unstable();
    let all: Vec<Duration> = logins.iter().map(|login| login.0).collect();
    say("login with 1000 files, median", quantile(&all, 0.5), "ms", "20.0");
    say("login with 1000 files, slowest of 20", quantile(&all, 1.0), "ms", "20.0");
    say("of which the login itself, median", logins[logins.len() / 2].1.as_secs_f64() * 1000.0, "ms", "");

    let mut leaving = User::log_in(server.address, "leaving")?;
    leaving.share(&library(wishes.users + 100, 10_000, &mut names))?;
    let mut while_leaving = crowd.at_rate(rate / 2.0, Duration::from_secs(4), Some(leaving))?;
    while_leaving.times.sort_unstable();
    say("10000 files of a user leave, at half load: p99", quantile(&while_leaving.times, 0.99), "ms", "");
    say("10000 files of a user leave, at half load: slowest search", quantile(&while_leaving.times, 1.0), "ms", "20.0");
    drop(connect(server.address)?);
    drop(users);
    Ok(())
}
