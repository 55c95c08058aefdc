//! A node that runs elsewhere, reached over HTTP: the same words as in this process, and each of them may fail for want of an answer.
//!
//! For threads that may wait; none of an async runtime may.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;
use std::sync::Once;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use hexad_api::node::{
    Change, Download, DownloadChange, DownloadDetail, DownloadFile, DownloadQuery, FileQuery, Folder, FreenetFriend, FreenetInvitation,
    LibraryQuery, NetworkStatus, NewDownload, NewInvitation, NewSearch, Page, Sample, Scrape, Search, SearchDetail, Share, ShareChange,
    ShareDetail, Status, UpSettings, UsedInvitation,
};
use hexad_api::{LabRun, LabScenario, NewLabRun, Problem, ProblemKind, TorrentVersion};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, Method, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Runtime;

/// How long an answer may take.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// Who says nothing for so long on a stream of events has gone; a node says something every 15 seconds.
const SILENCE_MAX: Duration = Duration::from_secs(45);
/// Bytes of an answer.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Bytes of one event.
const EVENT_BYTES_MAX: usize = 4 << 20;
/// Events that wait for their reader.
const EVENTS_MAX: usize = 1024;

/// A node that runs elsewhere.
#[derive(Debug)]
pub struct Remote {
    base: Url,
    client: Client,
    /// What goes with every request.
    headers: HeaderMap,
    runtime: Runtime,
}

/// What an answer without a body is read as.
struct Nothing;

impl Remote {
    /// The node at `url`, which is where its page is. Nobody is asked yet.
    ///
    /// # Errors
    /// When it is no address.
    pub fn open(url: &str, token: Option<&str>) -> Result<Self, Problem> {
        let written = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let written = if written.ends_with('/') { written } else { written + "/" };
        let base =
            Url::parse(&written).ok().filter(|base| matches!(base.scheme(), "http" | "https") && base.has_host()).ok_or_else(|| {
                Problem::new(format!("expected the address of a node, came '{url}'")).hint("hexad up prints it: http://127.0.0.1:4080/")
            })?;
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
                .map_err(|_| Problem::new("the token has letters that no token has").hint("copy it as hexad up prints it"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let trouble = |why: String| Problem::new(format!("HTTP cannot be spoken: {why}")).kind(ProblemKind::Internal);
        let client = client(&base, headers.clone()).map_err(|wrong| trouble(wrong.to_string()))?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|wrong| trouble(crate::source::plain(&wrong)))?;
        Ok(Self { base, client, headers, runtime })
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &str {
        self.base.as_str()
    }

    fn at(&self, path: &str, query: &[(&str, String)]) -> Result<Url, Problem> {
        let mut url = self.base.join(path).map_err(|wrong| Problem::new(format!("'{path}' is no path: {wrong}")))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    fn unreached(&self, wrong: &reqwest::Error) -> Problem {
        let mut why = wrong as &dyn std::error::Error;
        while let Some(deeper) = why.source() {
            why = deeper;
        }
        let why = if wrong.is_timeout() { "it takes too long".to_owned() } else { why.to_string() };
        Problem::new(format!("no node answers at {}: {why}", self.base))
            .hint("start one with hexad up, or name another with --daemon URL")
            .kind(ProblemKind::Unavailable)
    }

    fn exchange(&self, method: Method, path: &str, query: &[(&str, String)], body: Option<Vec<u8>>) -> Result<Vec<u8>, Problem> {
        let url = self.at(path, query)?;
        let mut request = self.client.request(method.clone(), url).timeout(ANSWER_DEADLINE);
        if method != Method::GET {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        self.runtime.block_on(async {
            let mut response = request.send().await.map_err(|wrong| self.unreached(&wrong))?;
            let status = response.status();
            let mut text = Vec::new();
            while let Some(part) = response.chunk().await.map_err(|wrong| self.unreached(&wrong))? {
                if text.len() + part.len() > ANSWER_BYTES_MAX {
                    return Err(Problem::new(format!("the answer of {} has more than {ANSWER_BYTES_MAX} bytes", self.base)));
                }
                text.extend_from_slice(&part);
            }
            if status.is_success() { Ok(text) } else { Err(self.refusal(status, &text)) }
        })
    }

    /// What a node says that does not do it.
    fn refusal(&self, status: StatusCode, text: &[u8]) -> Problem {
        let kind = match status {
            StatusCode::NOT_FOUND => ProblemKind::NotFound,
            StatusCode::CONFLICT => ProblemKind::Conflict,
            StatusCode::SERVICE_UNAVAILABLE => ProblemKind::Unavailable,
            status if status.is_server_error() => ProblemKind::Internal,
            _ => ProblemKind::BadRequest,
        };
        if status == StatusCode::UNAUTHORIZED {
            return Problem::new(format!("the node at {} wants to know who asks", self.base))
                .hint("give its token with --token or HEXAD_TOKEN; it is in http-token in the folder of the node's state");
        }
        let said: Option<Problem> = serde_json::from_slice(text).ok();
        let said = said.unwrap_or_else(|| {
            Problem::new(format!("{} answers {status}, which is not what a node says", self.base)).hint("is it Hexad's address?")
        });
        said.kind(kind)
    }

    fn read<T: DeserializeOwned>(&self, text: &[u8]) -> Result<T, Problem> {
        serde_json::from_slice(text).map_err(|wrong| {
            Problem::new(format!("the answer of {} cannot be read: {wrong}", self.base)).hint("is it of the same release as this program?")
        })
    }

    fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> Result<T, Problem> {
        self.read(&self.exchange(Method::GET, path, query, None)?)
    }

    fn tell(&self, method: Method, path: &str, word: Option<&impl Serialize>) -> Result<Vec<u8>, Problem> {
        let body = word.map(|word| hexad_api::json_line(word).map(String::into_bytes)).transpose()?;
        self.exchange(method, path, &[], body)
    }

    fn begin<T: DeserializeOwned>(&self, path: &str, word: &impl Serialize) -> Result<T, Problem> {
        self.read(&self.tell(Method::POST, path, Some(word))?)
    }

    fn do_to<T: DeserializeOwned>(&self, path: &str) -> Result<T, Problem> {
        self.read(&self.tell(Method::POST, path, None::<&Nothing>)?)
    }

    fn delete(&self, path: &str) -> Result<(), Problem> {
        self.tell(Method::DELETE, path, None::<&Nothing>).map(drop)
    }
}

impl Serialize for Nothing {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

/// The questions, as [`hexad_api::node::Daemon`] has them.
#[expect(clippy::missing_errors_doc, reason = "each fails when the node does not answer, or says why it does not do it")]
impl Remote {
    /// How it stands as a whole.
    pub fn status(&self) -> Result<Status, Problem> {
        self.get("api/status", &[])
    }

    /// How each of its networks stands.
    pub fn networks(&self) -> Result<Vec<NetworkStatus>, Problem> {
        self.get("api/networks", &[])
    }

    /// How one network stands, with its overlay.
    pub fn network(&self, name: &str) -> Result<NetworkStatus, Problem> {
        self.get(&format!("api/networks/{}", escaped(name)), &[])
    }

    /// Begins to join a network.
    pub fn join(&self, name: &str) -> Result<NetworkStatus, Problem> {
        self.do_to(&format!("api/networks/{}/join", escaped(name)))
    }

    /// Begins to leave a network.
    pub fn leave(&self, name: &str) -> Result<NetworkStatus, Problem> {
        self.do_to(&format!("api/networks/{}/leave", escaped(name)))
    }

    /// Invitations that were given on Freenet.
    pub fn invitations(&self) -> Result<Vec<FreenetInvitation>, Problem> {
        self.get("api/freenet/invitations", &[])
    }

    /// How many are in a swarm of BitTorrent, about.
    pub fn scrape(&self, torrent: &str) -> Result<Scrape, Problem> {
        self.get("api/bittorrent/scrape", &[("torrent", torrent.to_owned())])
    }

    /// Torrents that nodes of BitTorrent's DHT know, so many of them.
    pub fn sample(&self, count: usize) -> Result<Vec<Sample>, Problem> {
        self.get("api/bittorrent/sample", &[("count", count.to_string())])
    }

    /// Invites somebody on Freenet.
    pub fn invite(&self, wanted: &NewInvitation) -> Result<FreenetInvitation, Problem> {
        self.begin("api/freenet/invitations", wanted)
    }

    /// Takes an invitation back.
    pub fn revoke(&self, id: u64) -> Result<(), Problem> {
        self.delete(&format!("api/freenet/invitations/{id}"))
    }

    /// Friends on Freenet.
    pub fn friends(&self) -> Result<Vec<FreenetFriend>, Problem> {
        self.get("api/freenet/friends", &[])
    }

    /// Makes use of an invitation.
    pub fn accept(&self, used: &UsedInvitation) -> Result<FreenetFriend, Problem> {
        self.begin("api/freenet/friends", used)
    }

    /// Forgets a friend.
    pub fn unfriend(&self, key: &str) -> Result<(), Problem> {
        self.delete(&format!("api/freenet/friends/{}", escaped(key)))
    }

    /// Begins a search.
    pub fn begin_search(&self, search: &NewSearch) -> Result<Search, Problem> {
        self.begin("api/searches", search)
    }

    /// All searches.
    pub fn searches(&self, offset: usize, limit: usize) -> Result<Page<Search>, Problem> {
        self.get("api/searches", &part(offset, limit))
    }

    /// One search with a part of its results.
    pub fn search(&self, id: u64, offset: usize, limit: usize) -> Result<SearchDetail, Problem> {
        self.get(&format!("api/searches/{id}"), &part(offset, limit))
    }

    /// Asks again, and for more.
    pub fn search_more(&self, id: u64) -> Result<Search, Problem> {
        self.do_to(&format!("api/searches/{id}/more"))
    }

    /// Forgets a search.
    pub fn end_search(&self, id: u64) -> Result<(), Problem> {
        self.delete(&format!("api/searches/{id}"))
    }

    /// Begins a download.
    pub fn begin_download(&self, download: &NewDownload) -> Result<Download, Problem> {
        self.begin("api/downloads", download)
    }

    /// Downloads.
    pub fn downloads(&self, query: &DownloadQuery) -> Result<Page<Download>, Problem> {
        self.get("api/downloads", &pairs(query)?)
    }

    /// All that is known of a download.
    pub fn download(&self, id: u64) -> Result<DownloadDetail, Problem> {
        self.get(&format!("api/downloads/{id}"), &[])
    }

    /// The files of a download.
    pub fn download_files(&self, id: u64, query: &FileQuery) -> Result<Page<DownloadFile>, Problem> {
        self.get(&format!("api/downloads/{id}/files"), &pairs(query)?)
    }

    /// Changes how a download is carried out, and which of its files are fetched.
    pub fn change_download(&self, id: u64, change: &DownloadChange) -> Result<Download, Problem> {
        self.read(&self.tell(Method::PATCH, &format!("api/downloads/{id}"), Some(change))?)
    }

    /// Lets a download rest.
    pub fn pause(&self, id: u64) -> Result<Download, Problem> {
        self.do_to(&format!("api/downloads/{id}/pause"))
    }

    /// Goes on with a download.
    pub fn resume(&self, id: u64) -> Result<Download, Problem> {
        self.do_to(&format!("api/downloads/{id}/resume"))
    }

    /// Forgets a download.
    pub fn remove(&self, id: u64) -> Result<(), Problem> {
        self.delete(&format!("api/downloads/{id}"))
    }

    /// What is offered.
    pub fn library(&self, query: &LibraryQuery) -> Result<Page<Share>, Problem> {
        self.get("api/library", &pairs(query)?)
    }

    /// Offers a file or folder of the node's machine; on BitTorrent as a torrent of `version`, or as the node's settings say.
    pub fn share(&self, path: &Path, version: Option<TorrentVersion>) -> Result<Share, Problem> {
        let what = serde_json::json!({ "path": path_of(path)?["path"], "version": version });
        self.begin("api/library", &what)
    }

    /// Changes what belongs to a share.
    pub fn change_share(&self, id: u64, change: &ShareChange) -> Result<Share, Problem> {
        self.read(&self.tell(Method::PATCH, &format!("api/library/{id}"), Some(change))?)
    }

    /// One share, and how others reach it.
    ///
    /// # Errors
    /// When there is none, or the node does not answer.
    pub fn shared(&self, id: u64) -> Result<ShareDetail, Problem> {
        self.get(&format!("api/library/{id}"), &[])
    }

    /// Offers it no longer.
    pub fn unshare(&self, id: u64) -> Result<(), Problem> {
        self.delete(&format!("api/library/{id}"))
    }

    /// Watched folders.
    pub fn folders(&self) -> Result<Vec<Folder>, Problem> {
        self.get("api/library/folders", &[])
    }

    /// Watches a folder of the node's machine.
    pub fn add_folder(&self, path: &Path) -> Result<Folder, Problem> {
        self.begin("api/library/folders", &path_of(path)?)
    }

    /// Watches it no longer.
    pub fn remove_folder(&self, path: &Path) -> Result<(), Problem> {
        self.tell(Method::DELETE, "api/library/folders", Some(&path_of(path)?)).map(drop)
    }

    /// What can be set while it runs.
    pub fn settings(&self) -> Result<UpSettings, Problem> {
        self.get("api/settings", &[])
    }

    /// Sets it.
    pub fn set_settings(&self, settings: &UpSettings) -> Result<UpSettings, Problem> {
        self.read(&self.tell(Method::PUT, "api/settings", Some(settings))?)
    }

    /// Scenarios of its lab.
    pub fn scenarios(&self) -> Result<Vec<LabScenario>, Problem> {
        self.get("api/lab/scenarios", &[])
    }

    /// Begins a run of its lab.
    pub fn begin_run(&self, run: &NewLabRun) -> Result<LabRun, Problem> {
        self.begin("api/lab/runs", run)
    }

    /// How a run of its lab goes.
    pub fn run(&self, id: u64) -> Result<LabRun, Problem> {
        self.get(&format!("api/lab/runs/{id}"), &[])
    }

    /// What changes from here on, after [`Change::Hello`].
    pub fn changes(&self) -> Result<RemoteChanges, Problem> {
        let url = self.at("api/events", &[])?;
        // A client of its own: the connections of the other one stand still while nobody waits for its answers.
        let client = client(&self.base, self.headers.clone()).map_err(|wrong| self.unreached(&wrong))?;
        let (to, changes) = mpsc::sync_channel(EVENTS_MAX);
        let (opened, answered) = mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|wrong| Problem::new(format!("events cannot be heard: {}", crate::source::plain(&wrong))))?;
        let (quit, mut quitting) = tokio::sync::oneshot::channel::<()>();
        let hear = move || {
            runtime.block_on(async {
                let response = match client.get(url).send().await {
                    Ok(response) => response,
                    Err(wrong) => {
                        let _ = opened.send(Err(wrong));
                        return;
                    }
                };
                let status = response.status();
                let _ = opened.send(Ok(status));
                if status.is_success() {
                    tokio::select! {
                        () = read_events(response, &to) => {}
                        _ = &mut quitting => {}
                    }
                }
            });
        };
        std::thread::Builder::new()
            .name("hexad-events".into())
            .spawn(hear)
            .map_err(|wrong| Problem::new(format!("events cannot be heard: {}", crate::source::plain(&wrong))))?;
        match answered.recv() {
            Ok(Ok(status)) if status.is_success() => Ok(RemoteChanges { changes, _quit: quit }),
            Ok(Ok(status)) => Err(self.refusal(status, b"")),
            Ok(Err(wrong)) => Err(self.unreached(&wrong)),
            Err(_) => Err(Problem::new("events cannot be heard")),
        }
    }
}

/// What changes in a node that runs elsewhere.
#[derive(Debug)]
pub struct RemoteChanges {
    changes: Receiver<Change>,
    _quit: tokio::sync::oneshot::Sender<()>,
}

impl RemoteChanges {
    /// The next change; `Ok(None)` when there is none for so long.
    ///
    /// # Errors
    /// When the node is gone.
    pub fn next(&self, patience: Duration) -> Result<Option<Change>, Problem> {
        match self.changes.recv_timeout(patience) {
            Ok(change) => Ok(Some(change)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => {
                Err(Problem::new("the node has gone").hint("is hexad up still running?").kind(ProblemKind::Unavailable))
            }
        }
    }
}

/// Hands on one event after the other until the stream ends, is silent for too long, or nobody hears any more. Waits for a slow reader: the node
/// tells him to load again.
async fn read_events(mut response: Response, to: &mpsc::SyncSender<Change>) {
    let mut text = Vec::new();
    while let Ok(Ok(Some(part))) = tokio::time::timeout(SILENCE_MAX, response.chunk()).await {
        text.extend_from_slice(&part);
        while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            // Of a release that knows more kinds of change than this one, the others are still heard.
            let change = line.strip_prefix(b"data: ").and_then(|data| serde_json::from_slice::<Change>(data).ok());
            if change.is_some_and(|change| to.send(change).is_err()) {
                return;
            }
        }
        if text.len() > EVENT_BYTES_MAX {
            return;
        }
    }
}

fn client(base: &Url, headers: HeaderMap) -> reqwest::Result<Client> {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // Whoever has chosen another one before has his reasons.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    let builder =
        Client::builder().no_proxy().connect_timeout(CONNECT_DEADLINE).redirect(reqwest::redirect::Policy::none()).default_headers(headers);
    // A machine without any certificates still speaks plain HTTP.
    if base.scheme() == "http" { builder.tls_certs_only([]).build() } else { builder.build() }
}

fn part(offset: usize, limit: usize) -> [(&'static str, String); 2] {
    [("offset", offset.to_string()), ("limit", limit.to_string())]
}

/// A question's members as pairs; those that say nothing are left out.
fn pairs(query: &impl Serialize) -> Result<Vec<(&'static str, String)>, Problem> {
    const NAMES: [&str; 5] = ["offset", "limit", "state", "q", "sort"];
    let text = hexad_api::json_line(query)?;
    let members: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(&text).map_err(|wrong| Problem::new(format!("this is no question: {wrong}")))?;
    let written = |value: &serde_json::Value| match value {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    Ok(NAMES.into_iter().filter_map(|name| Some((name, written(members.get(name)?)?))).collect())
}

fn path_of(path: &Path) -> Result<BTreeMap<&'static str, &str>, Problem> {
    let text = path.to_str().ok_or_else(|| Problem::new(format!("{} is not written in UTF-8", path.display())).hint("rename it"))?;
    Ok(BTreeMap::from([("path", text)]))
}

/// A name as a part of a path.
fn escaped(name: impl Display) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_~".contains(&byte);
    name.to_string().bytes().map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
