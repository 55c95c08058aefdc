//! BitTorrent's DHT, asked by the node that is in it.

use axum::Json;
use axum::extract::State;
use hexad_api::node::{Sample, SampleQuery, Scrape, ScrapeQuery};
use hexad_api::{Event, Own, Problem, ProblemKind};

use super::Here;
use super::answer::{Answer, Asked, Refused, ask};

/// Says how many seeds and leechers a torrent has, about
#[utoipa::path(get, path = "/api/bittorrent/scrape", params(ScrapeQuery), responses((status = 200, body = Scrape), Refused))]
pub(super) async fn scrape(State(face): Here, Asked(which): Asked<ScrapeQuery>) -> Answer<Json<Scrape>> {
    let own = Own::BittorrentScrape { torrent: which.torrent };
    let answers = ask(&face, move |daemon| daemon.own(own)).await??;
    let scraped = answers.into_iter().find_map(|answer| match answer {
        Event::Scraped { info_hash, seeds, leechers, nodes } => Some(Scrape { info_hash, seeds, leechers, nodes }),
        _ => None,
    });
    Ok(Json(scraped.ok_or_else(|| Problem::new("the DHT has not answered").kind(ProblemKind::Unavailable))?))
}

/// Lists torrents that nodes of the DHT happen to know
#[utoipa::path(get, path = "/api/bittorrent/sample", params(SampleQuery), responses((status = 200, body = Vec<Sample>), Refused))]
pub(super) async fn sample(State(face): Here, Asked(which): Asked<SampleQuery>) -> Answer<Json<Vec<Sample>>> {
    if !(1..=SampleQuery::COUNT_MAX).contains(&which.count) {
        return Err(Problem::new(format!("expected a count of 1 to {}, came {}", SampleQuery::COUNT_MAX, which.count)).into());
    }
    let own = Own::BittorrentSample { count: which.count };
    let answers = ask(&face, move |daemon| daemon.own(own)).await??;
    let sampled = answers.into_iter().filter_map(|answer| match answer {
        Event::Sampled { info_hash, link } => Some(Sample { info_hash, link }),
        _ => None,
    });
    Ok(Json(sampled.collect()))
}
