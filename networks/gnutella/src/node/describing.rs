//! What is known of a fetch: the files and what proves them, as sources describe it, as their Tiger trees do, or as a SHA-1 does for want of those.
//!
//! A tree folds to the root that was asked for, so whoever gives another one has lied.

use hexad_content::{Digest, Digests, Layout, Proof, Shape, Strength, TigerProof, WholeDigest};
use hexad_core::{ConnId, Context, Description, Endpoint, Level, OpId, Progress, Span};

use super::fetching::Fetch;
use super::greeting::AGENT;
use super::suppliers::{Coming, Question};
use super::{Node, Out};
use crate::wire::thex::{TREE_BYTES_MAX, read_thex};
use crate::wire::{Headers, Request, Response, digests_of, urn_of};

/// The tree is waited for so long, then another proof has to do.
const TREE_WITHIN: Span = Span::from_secs(15);

/// Whether a description can be of what was asked for.
pub(crate) fn agrees(shape: &Shape, token: &str, digests: &Digests) -> bool {
    let mut named = digests_of(token);
    digests.iter().for_each(|digest| named.insert(*digest));
    let of_shape = token.get(..16).is_some_and(|begin| begin.eq_ignore_ascii_case("urn:hexad-shape:"));
    if of_shape {
        let own = data_encoding::BASE32_NOPAD.encode(&hexad_content::sha1_lanes::sha1_one(&shape.write()).0);
        return token[16..].eq_ignore_ascii_case(&own);
    }
    named.iter().any(|digest| digest.strength() > Strength::Hint)
        && named.iter().all(|wanted| match (wanted, &shape.proof) {
            // The root of a tree is computed from what came, so this one cannot be a lie.
            (Digest::Content(id), Some(Proof::Tree(tree))) => tree.content() == *id,
            (Digest::TigerTree(root), Some(Proof::Tiger(tree))) => tree.root() == *root,
            (Digest::Sha1(hash), Some(Proof::Whole { digest: WholeDigest::Sha1(own), .. })) => own == hash,
            _ => wanted.strength() == Strength::Hint || shape.digests.contains(wanted),
        })
}

/// The names that a description may claim.
fn believed(shape: &Shape) -> Digests {
    let fits = |digest: &&Digest| match (digest, &shape.proof) {
        (Digest::Content(id), Some(Proof::Tree(tree))) => tree.content() == *id,
        (Digest::TigerTree(root), Some(Proof::Tiger(tree))) => tree.root() == *root,
        _ => true,
    };
    shape.digests.iter().filter(fits).copied().collect()
}

impl Node {
    pub(crate) fn headers(&self, host: Option<&Endpoint>) -> Headers {
        let mut headers = Headers::new();
        if let Some(host) = host {
            headers.add("Host", host.to_string());
        }
        headers.add("User-Agent", AGENT);
        headers.add("X-Queue", "0.1");
        if let Some(own) = self.own() {
            headers.add("X-Node", own.to_string());
        }
        headers
    }

    pub(crate) fn describe_or_feed(&mut self, op: OpId, number: u32, conn: ConnId, cx: &mut Context<'_>, out: &mut Out) {
        let peer = self.peers.get(&conn).map(|peer| peer.peer.clone());
        let headers = self.headers(peer.as_ref());
        let Some(fetch) = self.fetches.get_mut(&op) else { return };
        let (token, size) = (fetch.token.clone(), fetch.size_bytes);
        let Some(supplier) = fetch.suppliers.get_mut(&number) else { return };
        if supplier.described {
            return self.feed(op, cx, out);
        }
        if supplier.ours {
            supplier.asked.push_back(Question::Shape);
            out.send_to(conn, Request::get(format!("/hexad/shape?{}", crate::locator::escaped(&token)), headers).into());
        } else if size.is_some() {
            let wanted = fetch.shape.is_none() && fetch.tiger().is_some() && fetch.tiger_by_itself().is_none();
            let Some(supplier) = fetch.suppliers.get_mut(&number) else { return };
            if wanted && !supplier.tree_asked {
                supplier.tree_asked = true;
                let target = supplier.tree_at.clone().or_else(|| tree_target(&fetch.digests, &fetch.token));
                let Some(supplier) = fetch.suppliers.get_mut(&number) else { return };
                supplier.asked.push_back(Question::Tree);
                out.send_to(conn, Request::get(target.unwrap_or_default(), headers).into());
                return;
            }
            supplier.described = true;
            self.settle_for_less(op, cx, out);
            self.feed(op, cx, out);
        } else {
            supplier.asked.push_back(Question::Head);
            out.send_to(conn, Request { head: true, ..Request::get(supplier.target.clone(), headers) }.into());
        }
    }

    /// What can be said of a file of another program.
    pub(crate) fn describe_plain(&mut self, op: OpId, size: u64, cx: &Context<'_>, out: &mut Out) {
        let Some(fetch) = self.fetches.get_mut(&op).filter(|fetch| fetch.shape.is_none()) else { return };
        let sha1 = fetch.digests.iter().find_map(|digest| if let Digest::Sha1(hash) = digest { Some(*hash) } else { None });
        let Ok(layout) = Layout::single(fetch.plain_name(), size) else { return };
        let whole = sha1.map(|hash| Proof::Whole { total_bytes: size, digest: WholeDigest::Sha1(hash) });
        let proof = fetch.tiger_by_itself().or(whole).or_else(|| fetch.tiger().and_then(|root| root_alone(root, size)));
        let shape = Shape { layout: layout.into(), proof, digests: fetch.digests.clone() };
        self.describe(op, shape, cx, out);
    }

    /// Says what it is, the first time that it is known; false when it is something else than was said before.
    pub(crate) fn describe(&mut self, op: OpId, shape: Shape, cx: &Context<'_>, out: &mut Out) -> bool {
        let Some(fetch) = self.fetches.get_mut(&op) else { return false };
        if let Some(known) = &fetch.shape {
            // Another program proves the same file in another way, and its parts are judged by the way that came first.
            let one = known.layout.is_single() && shape.layout.is_single() && known.layout.total_bytes() == shape.layout.total_bytes();
            return known.layout == shape.layout && known.proof == shape.proof || one && matches!(known.proof, Some(Proof::Tiger(_)));
        }
        let description = Description {
            layout: shape.layout.clone(),
            proof: shape.proof.clone(),
            digests: believed(&shape),
            torrent: bytes::Bytes::new(),
            private: false,
        };
        fetch.shape = Some(shape);
        fetch.progress = cx.now;
        out.report(op, Progress::Described(Box::new(description)));
        true
    }

    /// Takes a SHA-1 for a proof, when nobody is left who might give the tree, or it has been waited for long enough.
    pub(crate) fn settle_for_less(&mut self, op: OpId, cx: &Context<'_>, out: &mut Out) {
        let Some(fetch) = self.fetches.get(&op).filter(|fetch| fetch.shape.is_none()) else { return };
        let Some(size) = fetch.size_bytes else { return };
        let ready = fetch.suppliers.values().any(|supplier| supplier.open && supplier.described);
        let hopes = fetch.tiger().is_some()
            && fetch.suppliers.values().any(super::suppliers::Supplier::may_give_tree)
            && cx.now.since(fetch.begun) < TREE_WITHIN;
        if ready && !hopes {
            self.describe_plain(op, size, cx, out);
        }
    }

    /// A source answers when it was asked for the tree.
    pub(crate) fn on_tree_response(&mut self, op: OpId, number: u32, response: &Response, cx: &mut Context<'_>, out: &mut Out) {
        let Some(supplier) = self.fetches.get_mut(&op).and_then(|fetch| fetch.suppliers.get_mut(&number)) else { return };
        let body = response.body_bytes();
        match body {
            Some(bytes) if response.code == 200 && (1..=TREE_ANSWER_BYTES_MAX).contains(&bytes) => {
                supplier.coming = Some(Coming::Tree(Vec::new(), bytes));
            }
            _ => {
                out.note(Level::Debug, "no_tree", supplier.at.clone(), response.code.to_string());
                supplier.coming = body.filter(|bytes| *bytes > 0).map(Coming::Nothing);
                supplier.described = true;
                self.settle_for_less(op, cx, out);
                self.feed(op, cx, out);
            }
        }
    }

    /// All of a tree is here.
    pub(crate) fn on_tree(&mut self, op: OpId, number: u32, bytes: &[u8], cx: &mut Context<'_>, out: &mut Out) {
        let Some(fetch) = self.fetches.get_mut(&op) else { return };
        let (Some(root), Some(size)) = (fetch.tiger(), fetch.size_bytes) else { return };
        let tree = read_thex(bytes).ok().and_then(|nodes| TigerProof::of_levels(root, size, &nodes).ok());
        let Some(tree) = tree else {
            self.ban(op, number, "bad_tree", cx, out);
            self.settle_for_less(op, cx, out);
            return self.fail_if_hopeless(op, out);
        };
        if let Some(supplier) = fetch.suppliers.get_mut(&number) {
            supplier.described = true;
        }
        if fetch.shape.is_none()
            && let Ok(layout) = Layout::single(fetch.plain_name(), size)
        {
            // Those who are still asked for theirs are of use already.
            fetch.suppliers.values_mut().filter(|supplier| supplier.tree_asked).for_each(|supplier| supplier.described = true);
            let shape = Shape { layout: layout.into(), proof: Some(Proof::Tiger(tree)), digests: fetch.digests.clone() };
            self.describe(op, shape, cx, out);
        }
        self.feed(op, cx, out);
    }
}

/// Bytes of an answer with a tree: the tree and what is said of it.
const TREE_ANSWER_BYTES_MAX: u64 = TREE_BYTES_MAX as u64 + 4096;

impl Fetch {
    /// The root of the Tiger tree, where it belongs to what was asked for.
    pub(crate) fn tiger(&self) -> Option<[u8; 24]> {
        let mut named = digests_of(&self.token);
        self.digests.iter().for_each(|digest| named.insert(*digest));
        named.iter().find_map(|digest| if let Digest::TigerTree(root) = digest { Some(*root) } else { None })
    }

    /// What proves a file that is one part: its root.
    fn tiger_by_itself(&self) -> Option<Proof> {
        let size = self.size_bytes.filter(|size| *size <= TigerProof::PART_BYTES_MIN)?;
        root_alone(self.tiger()?, size)
    }

    fn plain_name(&self) -> String {
        self.name.rsplit(['/', '\\']).next().filter(|name| !name.is_empty()).unwrap_or("file").to_owned()
    }
}

/// A root as a proof of all of a file at once.
fn root_alone(root: [u8; 24], size: u64) -> Option<Proof> {
    let part_bytes = size.max(TigerProof::PART_BYTES_MIN).checked_next_power_of_two()?;
    let hashes: &[[u8; 24]] = if size == 0 { &[] } else { &[root] };
    TigerProof::of_layer(size, part_bytes, hashes).ok().filter(|tree| tree.root() == root).map(Proof::Tiger)
}

/// By what a tree is asked for: every program that has trees knows its files by SHA-1.
fn tree_target(digests: &Digests, token: &str) -> Option<String> {
    let mut named = digests_of(token);
    digests.iter().for_each(|digest| named.insert(*digest));
    let known = |digest: &&Digest| matches!(digest, Digest::Sha1(_) | Digest::TigerTree(_));
    named.iter().find(known).map(|digest| format!("/uri-res/N2X?{}", urn_of(digest)))
}

/// `X-Thex-URI: path;root`: where a source has the tree of that root.
pub(crate) fn tree_at(headers: &Headers, root: [u8; 24]) -> Option<String> {
    const PATH_BYTES_MAX: usize = 512;
    let (path, said) = headers.find("X-Thex-URI")?.split_once(';')?;
    let path = path.trim();
    let named = digests_of(&format!("urn:tree:tiger:{}", said.trim()));
    let plain = path.starts_with('/') && path.len() <= PATH_BYTES_MAX && path.bytes().all(|byte| byte.is_ascii_graphic());
    (plain && named.contains(&Digest::TigerTree(root))).then(|| path.to_owned())
}
