//! How much memory a file takes, how long a search takes, and how long it takes until somebody who leaves is cleared.
//!
//! `cargo run --release -p hexad-catalogue --example measure -- [USERS [FILES_OF_EACH]]`

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "measures with the system's clock and its account of memory")]

use std::time::{Duration, Instant};

use hexad_catalogue::{Catalogue, Config, Filter, Kind, NewFile, OwnerId, Query};

const WORDS: u64 = 60_000;

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Small numbers are likelier, about as words of a language are.
    fn zipf(&mut self, count: u64) -> u64 {
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "dice")]
        let place = (count as f64).powf((self.bits() >> 11) as f64 / (1_u64 << 53) as f64) as u64;
        place.saturating_sub(1).min(count - 1)
    }
}

fn word(number: u64) -> String {
    const SYLLABLES: [&str; 32] = [
        "ba", "co", "di", "fa", "go", "hu", "ja", "ke", "li", "mo", "nu", "pa", "qui", "ro", "sa", "te", "tra", "vi", "wo", "xa", "ya",
        "zo", "bel", "cor", "den", "fil", "gar", "hem", "lan", "mar", "ner", "son",
    ];
    let mut rest = number + 1;
    let mut word = String::new();
    while rest > 0 {
        word.push_str(SYLLABLES[usize::try_from(rest % 32).unwrap_or(0)]);
        rest /= 32;
    }
    word
}

/// Artist, album and title; a file's words.
fn song(dice: &mut Dice) -> (String, Vec<u64>) {
    let artist = [dice.zipf(WORDS), dice.zipf(WORDS)];
    let album = dice.zipf(WORDS);
    let title: Vec<u64> = (0..2 + dice.bits() % 3).map(|_| dice.zipf(WORDS)).collect();
    let text = |numbers: &[u64]| numbers.iter().map(|&number| word(number)).collect::<Vec<_>>().join(" ");
    let path = format!("C:\\My Music\\{} - {}\\{} - {}.mp3", text(&artist), word(album), text(&artist), text(&title));
    (path, artist.into_iter().chain([album]).chain(title).collect())
}

fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}

fn add_user(catalogue: &mut Catalogue, files: u64, dice: &mut Dice) -> OwnerId {
    let owner = catalogue.add_owner().expect("room for another owner");
    for _ in 0..files {
        let (path, _) = song(dice);
        let token = format!("{:016x}{:016x}", dice.bits(), dice.bits());
        let file = NewFile {
            path: path.as_bytes(),
            token: token.as_bytes(),
            size_bytes: 3_000_000 + dice.bits() % 5_000_000,
            bitrate_kbps: if dice.bits().is_multiple_of(4) { 192 } else { 128 },
            frequency_hz: 44_100,
            seconds: 120 + u32::try_from(dice.bits() % 300).unwrap_or(0),
            kind: Kind::Mp3,
        };
        // The same song twice is one file.
        let _ = catalogue.add(owner, &file);
    }
    owner
}

fn show(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    let mean = times.iter().sum::<Duration>() / u32::try_from(times.len()).unwrap_or(1);
    println!("{what:<46} p50 {:>9.1?}  p99 {:>9.1?}  max {:>9.1?}  mean {mean:>9.1?}", at(50), at(99), at(100));
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter_map(|argument| argument.parse::<u64>().ok());
    let users = arguments.next().unwrap_or(10_000);
    let each = arguments.next().unwrap_or(100);
    let before = resident_bytes();
    let mut dice = Dice(42);
    let mut catalogue = Catalogue::new(Config { seed: 99, ..Config::default() });
    let began = Instant::now();
    for _ in 0..users {
        add_user(&mut catalogue, each, &mut dice);
    }
    let filled = began.elapsed();
    let usage = catalogue.usage();
    let bytes = resident_bytes() - before;
    println!(
        "{} files of {} owners, {} words; {} bytes a file (owners' arenas {}), filled in {filled:.1?} (song-making included)",
        usage.files,
        usage.owners,
        usage.words,
        bytes / usage.files as u64,
        catalogue.arena_bytes() as u64 / usage.files as u64,
    );

    let mut queries = Vec::new();
    for _ in 0..200_000 {
        let (_, words) = song(&mut dice);
        let pick = |dice: &mut Dice| words[usize::try_from(dice.bits()).unwrap_or(0) % words.len()];
        let pair = [pick(&mut dice), pick(&mut dice)];
        queries.push(Query {
            words: pair.map(word).to_vec(),
            wanted: 20,
            start: u32::try_from(dice.bits() >> 32).unwrap_or(0),
            ..Query::default()
        });
    }
    let mut hits = 0_usize;
    let began = Instant::now();
    for query in &queries {
        hits += catalogue.search(query, |_, file| file.size_bytes > 0).taken;
    }
    let all = began.elapsed();
    #[expect(clippy::cast_precision_loss, reason = "numbers for people")]
    let (rate, mean_hits) = (queries.len() as f64 / all.as_secs_f64(), hits as f64 / queries.len() as f64);
    println!("two words, at most 20 answers: {rate:.0} searches/s on one core, {mean_hits:.1} answers each");
    let time = |catalogue: &Catalogue, query: &Query| {
        let began = Instant::now();
        std::hint::black_box(catalogue.search(query, |_, file| file.size_bytes > 0));
        began.elapsed()
    };
    show("two words", queries.iter().map(|query| time(&catalogue, query)).collect());
    let few = &queries[..20_000];
    show("one word", few.iter().map(|query| time(&catalogue, &Query { words: vec![query.words[0].clone()], ..query.clone() })).collect());
    let picky = Filter { bitrate_kbps: 320..=u32::MAX, ..Filter::default() };
    show(
        "two words, nothing fits the bitrate",
        few.iter().map(|query| time(&catalogue, &Query { filter: picky.clone(), ..query.clone() })).collect(),
    );
    let common = |count: u64| (0..count).map(word).collect::<Vec<_>>();
    let bomb = Query { words: common(16), wanted: 20, ..Query::default() };
    show("16 of the commonest words", (0..1000).map(|_| time(&catalogue, &bomb)).collect());
    let bomb = Query { words: vec!["my".into(), "music".into(), "mp3".into()], filter: picky, wanted: 20, ..Query::default() };
    show("stop words, nothing fits", (0..1000).map(|_| time(&catalogue, &bomb)).collect());
    show("two words, fuzzy", few[..2000].iter().map(|query| time(&catalogue, &Query { fuzzy: true, ..query.clone() })).collect());

    let began = Instant::now();
    let owner = add_user(&mut catalogue, 1_000, &mut dice);
    println!("a user with 1,000 files comes: {:.1?} (song-making included)", began.elapsed());
    catalogue.begin_remove(owner);
    while catalogue.step(1_000) {}
    let owner = add_user(&mut catalogue, 10_000, &mut dice);
    let began = Instant::now();
    catalogue.begin_remove(owner);
    println!("a user with 10,000 files leaves: out of all answers after {:.1?}", began.elapsed());
    let (mut slices, mut searches) = (Vec::new(), Vec::new());
    let mut more = true;
    let mut next = queries.iter().cycle();
    while more {
        let began = Instant::now();
        more = catalogue.step(100);
        slices.push(began.elapsed());
        searches.extend(next.next().map(|query| time(&catalogue, query)));
    }
    println!("cleared in {} slices, {:.1?} together", slices.len(), slices.iter().sum::<Duration>());
    show("a slice of 100 files", slices);
    show("searches between slices", searches);
}
