//! All claims that the lab is to reproduce, whether a scenario tests them or not: what no scenario tests is shown as absent and never left out.

/// A claim about a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its name, such as `CH2`.
    pub id: &'static str,
    /// The network it is about.
    pub network: &'static str,
    /// What is said.
    pub says: &'static str,
    /// What is expected, in words.
    pub expected: &'static str,
    /// Who says it.
    pub source: &'static str,
    /// The figure is from memory of a paper: a target, and no more.
    pub from_memory: bool,
    /// Where no scenario measures it because a test of the network itself shows it: that test.
    pub shown_by: Option<&'static str>,
}

const fn known(
    id: &'static str,
    network: &'static str,
    says: &'static str,
    expected: &'static str,
    source: &'static str,
    from_memory: bool,
) -> Known {
    Known { id, network, says, expected, source, from_memory, shown_by: None }
}

impl Known {
    const fn shown_by(self, test: &'static str) -> Self {
        Self { shown_by: Some(test), ..self }
    }
}

/// The claim of an id.
#[must_use]
pub fn find(id: &str) -> Option<&'static Known> {
    CLAIMS.iter().find(|claim| claim.id == id)
}

/// Claims B to G of the specification.
pub static CLAIMS: &[Known] = &[
    known(
        "NA1",
        "napster",
        "a search costs a question and an answer, however many users there are",
        "2 messages, slope 0",
        "the document",
        false,
    ),
    known("NA2", "napster", "the server's state grows with the files of all users", "linear, R² > 0.999", "the document", false),
    known("NA3", "napster", "the server's load grows with its users", "linear", "follows", false),
    known("NA4", "napster", "a dead server stops searches, not transfers", "success 1 → 0, transfers finish", "the document", false),
    known("NA5", "napster", "whatever is online is found", "recall 1", "follows", false),
    known("NA6", "napster", "files never pass through the server", "0 bytes", "the document", false),
    known("GN1", "gnutella", "messages of a flood by hops, 10^5 nodes of 4 links", "D=3: 52 … 9: 36937, 2 %", "recomputed", false),
    known("GN2", "gnutella", "the same at 10^4 nodes", "D=7: 4081, reach 3547", "recomputed", false),
    known("GN3", "gnutella", "the same at 10^5 nodes of 8 links", "D=7: 553780", "recomputed", false),
    known("GN4", "gnutella", "a search reaches all once C^D > N", "S-curve", "the document", false),
    known("GN5", "gnutella", "an answer takes at most 2D hops", "≤ 2D", "the document", false),
    known("GN6", "gnutella", "Ritter's table of users reachable", "C=4, T=7: 4372", "Ritter 2001; the formula is exact", false),
    known("GN7", "gnutella", "shares of kinds of messages", "2000: over half is overhead; later 92 % queries", "Ripeanu 2001", true),
    known("GN8", "gnutella", "nodes are within 7 hops of each other", "95 % of pairs", "Ripeanu 2001", true),
    known(
        "GN9",
        "gnutella",
        "a power-law graph survives random loss and breaks under targeted loss",
        "30 % at random: whole; top 4 %: shattered",
        "Saroiu 2002",
        true,
    ),
    known(
        "GN10",
        "gnutella",
        "most share nothing, few serve most",
        "66–70 % share nothing; top 1 % serve 37–50 %",
        "Adar and Huberman 2000; Saroiu 2002",
        true,
    ),
    known("GN11", "gnutella", "success against load by hops", "1-(1-ρ)^reach", "the document; the formula recomputed", false),
    known("GN12", "gnutella", "expanding rings and walkers save traffic", "one to two orders fewer", "Lv 2002", true),
    known(
        "KZ1",
        "kazaa",
        "the scope of a search shrinks by the leaves of a supernode",
        "factor about leaves a supernode",
        "the document; Liang 2005",
        true,
    ),
    known("KZ2", "kazaa", "no guarantee", "recall < 1 for rare files", "the document", false),
    known("KZ3", "kazaa", "a supernode's state is that of its leaves", "linear in N/S", "follows", false),
    known("KZ4", "kazaa", "leaves of dead supernodes find others", "within one period", "follows", false),
    known("KZ5", "kazaa", "figures of the overlay of 2003", "40–60 links, 60–150 leaves", "Liang, Kumar, Ross", true),
    known("KZ6", "kazaa", "one hash lets several sources be used", "min of capacities", "the document", false),
    known("BT1", "bittorrent", "choking is decided every 10 s", "10 s exactly", "the document; Cohen 2003", false)
        .shown_by("networks/bittorrent/src/node/tests/choking.rs: choking_is_decided_every_ten_seconds_and_at_no_other_time"),
    known("BT2", "bittorrent", "rates are a rolling average of 20 s", "50 % at 10 s, 100 % at 20 s", "the document; Cohen 2003", false)
        .shown_by("networks/bittorrent/src/node/rates.rs: a_step_is_seen_at_half_after_ten_seconds_and_whole_after_twenty"),
    known("BT3", "bittorrent", "the optimistic unchoke rotates every 30 s", "every third decision", "the document; Cohen 2003", false)
        .shown_by("networks/bittorrent/src/node/tests/choking.rs: the_place_by_chance_goes_to_another_with_every_third_round"),
    known(
        "BT4",
        "bittorrent",
        "four uploads, three by merit and one by chance",
        "≤ 4 interested with upload_slots = 3; ours are 4 and 1",
        "Cohen 2003",
        false,
    )
    .shown_by("networks/bittorrent/src/node/tests/choking.rs: three_places_by_merit_and_one_by_chance_are_four_uploads"),
    known("BT5", "bittorrent", "who sends nothing for 60 s loses his slot", "60 s", "Cohen 2003", false)
        .shown_by("networks/bittorrent/src/node/tests/choking.rs: who_falls_silent_for_a_minute_loses_his_place_by_merit"),
    known("BT6", "bittorrent", "rarest first spreads pieces evenly", "variation well below random", "Legout 2006", true),
    known("BT7", "bittorrent", "diversity is close to ideal", "median near 1", "Legout 2006", true),
    known("BT8", "bittorrent", "the first block is the problem, not the last", "first slower", "Legout 2006", true),
    known(
        "BT9",
        "bittorrent",
        "pieces of 256 KiB, blocks of 16 KiB, five requests queued",
        "configuration",
        "the document; Cohen 2003",
        false,
    )
    .shown_by("networks/bittorrent/src/node/swarm/requests.rs: at_least_five_blocks_of_16_kib_are_asked_for_at_first"),
    known("BT10", "bittorrent", "everyone completes as long as one distributed copy exists", "both must be shown", "the document", false),
    known("BT11", "bittorrent", "free riders get less", "ratio > 2 when upload is scarce", "the document; Qiu and Srikant 2004", true),
    known("BT12", "bittorrent", "the fluid model", "mean time within 15 %", "Qiu and Srikant 2004", true),
    known("BT13", "bittorrent", "nearly all upload is useful", "η > 0.95", "Qiu and Srikant 2004", true),
    known("BT14", "bittorrent", "uplinks are full", "> 95 %", "Bharambe 2006", true),
    known("BT15", "bittorrent", "distribution is near the optimum", "within 1.3 of the bound", "Kumar and Ross; the factor is ours", false),
    known("BT16", "bittorrent", "capacity doubles in a flash crowd", "exponential until saturation", "Yang and de Veciana 2004", true),
    known("BT17", "bittorrent", "peers of like bandwidth find each other", "> 1.5 times random", "Legout 2007", true),
    known("UT1", "bittorrent", "alone, uTP fills the line and keeps the queue at its target", "> 90 %, 100 ms", "RFC 6817; BEP 29", false),
    known(
        "UT2",
        "bittorrent",
        "uTP gives way to a TCP download and comes back after it",
        "TCP > 80 %, then uTP > 85 %",
        "RFC 6817; BEP 29",
        false,
    ),
    known("UT3", "bittorrent", "streams of uTP share a line, and go on to keep its queue short", "nobody starves", "RFC 6817", false),
    known("UT4", "bittorrent", "over 100 ms without loss uTP reaches more than half of TCP's rate", "> 0.5", "ours", false),
    known("FR1", "freenet", "few hops after learning", "median from hundreds to about 6", "Clarke 2001; partly from memory", true),
    known("FR2", "freenet", "the way to a key grows slowly", "slow growth to 2·10^5", "Clarke 2001", true),
    known("FR3", "freenet", "failures are tolerated", "median < 20 with 30 % removed", "Clarke 2001", true),
    known("FR4", "freenet", "links follow a power law, the world is small", "clustering ≫ random, path ~ random", "Clarke 2001", true),
    known("FR5", "freenet", "popular data is cached more widely", "slope > 0", "the document", false),
    known("FR6", "freenet", "unrequested data is lost", "decays to 0", "the document", false),
    known("FR7", "freenet", "similar ids gather", "ratio ≪ 1", "the document", false),
    known("FR8", "freenet", "success and cost by hops-to-live", "concave, linear", "the document", false),
    known("FR9", "freenet", "how long links are distributed matters", "37.17 against < 13 hops", "Roos 2014, abstract", false),
    known("FR10", "freenet", "greedy routing on Kleinberg's ring", "O(log² N / k)", "theory", false),
    known("CH1", "chord", "log N fingers", "log2 N + about 1", "the document", false),
    known(
        "CH2",
        "chord",
        "a lookup takes about half of log2 N hops",
        "k=6 3.93 … 14 7.86, ±0.1",
        "SIGCOMM 2001, Fig. 10; recomputed",
        false,
    ),
    known("CH3", "chord", "hops are spread like a bell", "mean 6 at 2^12", "SIGCOMM 2001, Fig. 10b", false),
    known("CH4", "chord", "PeerSim's hops", "10^3 5.20 … 10^6 10.18", "measured by us", false),
    known("CH5", "chord", "keys are spread unevenly", "max 9.1, p99 4.6 times the mean", "SIGCOMM 2001, Fig. 8", false),
    known("CH6", "chord", "virtual nodes even it out", "p1/p99 0.50/1.67 at 20", "recomputed", false),
    known("CH7", "chord", "who fails takes his keys along", "= p", "SIGCOMM 2001, Fig. 11", false),
    known("CH8", "chord", "copies save keys", "p^c", "the document", false),
    known("CH9", "chord", "lookups right after a mass failure", "ToN Table II", "ToN 2003, from memory; means recomputed", true),
    known("CH10", "chord", "lookups under churn", "ToN Table III", "ToN 2003", true),
    known("CH11", "chord", "the older figure under churn", "about 6 % at 0.1", "SIGCOMM 2001, Fig. 12; 6 % from memory", true),
    known("CH12", "chord", "a join costs O(log² N) messages", "≤ 2 log2² N", "the document", false),
    known("CH13", "chord", "r-1 successors may fail at once", "whole; r detected", "the document", false),
    known("CH14", "chord", "the naive join is right for one at a time", "wrong until stabilised", "the document", false),
    known("CH15", "chord", "the published protocol can break", "counter-examples", "recomputed", false),
    known("CH16", "chord", "finger alternatives shorten the way", "s=16 about 2–3.5 / 1.5–1.7", "ToN 2003, Table IV, rough", true),
    known(
        "CH17",
        "chord",
        "beside Kademlia under churn at equal bandwidth",
        "fewer timeouts for Kademlia, more bytes",
        "Li 2005, a trend",
        true,
    ),
    known("CH18", "chord", "the keyword index costs a lookup for each word", "linear", "our design", false),
    known("CH19", "chord", "attackers", "1-(1-(1-f)^h)^d", "S/Kademlia", true),
    known("CH20", "chord", "resilience without repair: ring, XOR, tree", "ring about 7 % at p = 0.3", "Gummadi 2003, uncertain", true),
    known("CH21", "chord", "wrong successors under churn", "about 2/(3+ρα)", "Krishnamurthy 2005, uncertain", true),
];
