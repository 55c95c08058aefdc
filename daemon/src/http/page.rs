//! The page, as it was built into this program. Every path that is nothing else is the page, which knows itself what to show there.

use std::net::{IpAddr, SocketAddr};

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use hexad_api::Problem;
use hexad_content::percent_decoded_leniently;
use rust_embed::{Embed, EmbeddedFile};

use super::answer::Refused;
use super::door::COOKIE_NAME;
use super::{Face, Here};

#[derive(Embed)]
#[folder = "../web/dist"]
struct Dist;

/// Names of what is below hold a hash of their content.
const HASHED: &str = "assets/";
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// How long a browser keeps the token.
const COOKIE_S: u32 = 365 * 24 * 3600;

/// What a reader sees who has to show a token first; works without scripts.
const WHO_ARE_YOU: &str = "<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n<meta name=viewport content=\"width=device-width\">\n\
<title>Hexad</title>\n<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:24rem;margin:20vh auto;padding:0 1rem}\
:root{color-scheme:light dark}input,button{font:inherit;padding:.4rem .6rem;width:100%;box-sizing:border-box;margin-top:.5rem}</style>\n\
<h1>Hexad</h1>\n<form><label>Token of this node <input name=token type=password autofocus required autocomplete=current-password></label>\
<button>Open</button></form>\n<p>The program that runs the node has printed it, and keeps it beside the node's state.</p>\n";

/// Every path that is nothing else.
pub(super) async fn page(State(face): Here, ConnectInfo(from): ConnectInfo<SocketAddr>, request: Request) -> Response {
    let path = request.uri().path().trim_start_matches('/').to_owned();
    if path == "api" || path.starts_with("api/") {
        return Refused::not_found(format!("there is no '/{path}' in the API")).into_response();
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return wrong_method().await;
    }
    if let Some(answer) = shown_token(&face, from.ip(), &path, request.uri().query()) {
        return answer;
    }
    if let Err(refused) = face.door.check(from.ip(), request.headers()) {
        return who_are_you(refused);
    }
    match Dist::get(&path).filter(|_| path != "index.html") {
        Some(file) => {
            let kind = kind_of(&path);
            let etag = etag(&file, 0);
            send(request.headers(), body_of(file), kind, &etag, if path.starts_with(HASHED) { FOR_EVER } else { "no-cache" })
        }
        None if path.starts_with(HASHED) => Refused::not_found(format!("there is no '/{path}'")).into_response(),
        None => index(&path, request.headers()),
    }
}

/// A path that exists, asked in a way that does not.
pub(super) async fn wrong_method() -> Response {
    let problem = Problem::new("this path cannot be asked in this way").hint("GET api/openapi.json says how");
    Refused::with(StatusCode::METHOD_NOT_ALLOWED, problem).into_response()
}

/// The page itself, such that what it loads is found from wherever it is shown, whatever a proxy has put in front of the path.
fn index(path: &str, headers: &HeaderMap) -> Response {
    let Some(file) = Dist::get("index.html") else {
        return Refused::not_found("this program was built without its page").into_response();
    };
    let depth = path.matches('/').count();
    let etag = etag(&file, depth);
    let text = String::from_utf8_lossy(&file.data).into_owned();
    let up = if depth == 0 { "./".to_owned() } else { "../".repeat(depth) };
    let text = match text.find("<head>").filter(|_| !text.contains("<base ")) {
        Some(at) => {
            let (before, after) = text.split_at(at + "<head>".len());
            format!("{before}<base href=\"{up}\">{after}")
        }
        None => text,
    };
    send(headers, text.into(), "text/html; charset=utf-8", &etag, "no-cache")
}

fn send(headers: &HeaderMap, body: Bytes, kind: &'static str, etag: &str, cache: &'static str) -> Response {
    let known = headers.get(IF_NONE_MATCH).and_then(|known| known.to_str().ok());
    let is_known = known.is_some_and(|known| known.split(',').any(|one| one.trim().trim_start_matches("W/") == etag));
    let mut response = if is_known { StatusCode::NOT_MODIFIED.into_response() } else { Body::from(body).into_response() };
    let out = response.headers_mut();
    out.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    out.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    if let Ok(etag) = HeaderValue::from_str(etag) {
        out.insert(ETAG, etag);
    }
    response
}

/// What somebody gets who opens `/?token=…`: the token as a cookie, and the page under an address that does not say it.
fn shown_token(face: &Face, from: IpAddr, path: &str, query: Option<&str>) -> Option<Response> {
    let said = query?.split('&').find_map(|pair| pair.strip_prefix("token="))?;
    if !path.is_empty() || !face.door.is_locked() {
        return None;
    }
    let said = as_meant(said);
    if let Err(refused) = face.door.check_said(from, &said) {
        return Some(who_are_you(refused));
    }
    // A token that is no word of a cookie cannot be kept by a browser.
    let is_word = said.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b';' | b',' | b'"' | b'\\'));
    let base = if face.base.is_empty() { "/" } else { &face.base };
    let cookie = format!("{COOKIE_NAME}={said}; Path={base}; Max-Age={COOKIE_S}; HttpOnly; SameSite=Strict");
    let Some(cookie) = HeaderValue::from_str(&cookie).ok().filter(|_| is_word) else {
        return Some(Problem::new("this token cannot be kept by a browser").hint("use letters and digits").into())
            .map(|refused: Refused| refused.into_response());
    };
    let headers = [(SET_COOKIE, cookie), (LOCATION, HeaderValue::from_static("./")), (CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Some((StatusCode::SEE_OTHER, headers).into_response())
}

/// The same for a reader, who can type it where it is missing.
fn who_are_you(refused: Refused) -> Response {
    let can_say = refused.status() == StatusCode::UNAUTHORIZED;
    let mut response = refused.into_response();
    if !can_say {
        return response;
    }
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    *response.body_mut() = Body::from(WHO_ARE_YOU);
    response.headers_mut().remove(axum::http::header::CONTENT_LENGTH);
    response
}

fn etag(file: &EmbeddedFile, depth: usize) -> String {
    let hash = file.metadata.sha256_hash();
    format!("\"{}-{depth}\"", data_encoding::HEXLOWER.encode(&hash[..12]))
}

fn body_of(file: EmbeddedFile) -> Bytes {
    match file.data {
        std::borrow::Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        std::borrow::Cow::Owned(bytes) => bytes.into(),
    }
}

fn kind_of(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or("") {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// `%41` and `+` as they are meant; what is no such thing stays as it is.
fn as_meant(text: &str) -> String {
    percent_decoded_leniently(&text.replace('+', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_is_meant() {
        assert_eq!(as_meant("a%2Fb+c%zz%4"), "a/b c%zz%4");
    }
}
