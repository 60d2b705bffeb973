//! Printers behind a print server (CUPS) or with one inside: IPP over HTTP. The server says what became of a job.

use std::time::Duration;

use ipp::operation::IppOperation as _;
use ipp::parser::IppParser;
use ipp::prelude::{
    DelimiterTag, IppAttribute, IppOperationBuilder, IppPayload, IppRequestResponse, IppValue, JobState, PrinterState,
    Uri,
};

use super::{Job, Patience};
use crate::language::Language;
use crate::status::{Outcome, Status};

const PAUSE: Duration = Duration::from_millis(300);
/// IPP's own port (RFC 8010), where an address names none.
const PORT: u16 = 631;
/// More than this no answer about a printer or a job says.
const LONGEST: usize = 1 << 20;

struct Server {
    uri: Uri,
    url: reqwest::Url,
    http: reqwest::Client,
}

impl Server {
    fn new(uri: &str, patience: Patience) -> Option<Self> {
        let mut url = reqwest::Url::parse(&uri.replacen("ipp://", "http://", 1)).ok()?;
        if url.port().is_none() && !uri.contains(":80/") {
            url.set_port(Some(PORT)).ok()?;
        }
        let http = reqwest::Client::builder()
            .no_proxy()
            // What is printed goes to the configured server and to nobody it names.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(patience.connect)
            .timeout(patience.answer)
            .build()
            .ok()?;
        Some(Self {
            uri: uri.parse().ok()?,
            url,
            http,
        })
    }

    /// `Err(true)` when the request cannot have been read.
    async fn ask(&self, request: IppRequestResponse, payload: &[u8]) -> Result<IppRequestResponse, bool> {
        let mut body = request.to_bytes().to_vec();
        body.extend_from_slice(payload);
        let sent = self
            .http
            .post(self.url.clone())
            .header("content-type", "application/ipp")
            .body(body)
            .send()
            .await;
        let mut answer = sent.map_err(|e| e.is_connect())?;
        if !answer.status().is_success() {
            return Err(!may_have_been_read(answer.status()));
        }
        let mut bytes = Vec::new();
        while let Some(more) = answer.chunk().await.map_err(|_| false)? {
            if bytes.len() + more.len() > LONGEST {
                return Err(false);
            }
            bytes.extend_from_slice(&more);
        }
        IppParser::new(std::io::Cursor::new(bytes)).parse().map_err(|_| false)
    }

    async fn status(&self) -> Option<Status> {
        let request = IppOperationBuilder::get_printer_attributes(self.uri.clone())
            .attributes(["printer-state", "printer-state-reasons", "printer-is-accepting-jobs"])
            .build()
            .ok()?
            .into_ipp_request();
        let answer = self.ask(request, &[]).await.ok()?;
        if !answer.header().status_code().is_success() {
            return Some(Status::Unknown);
        }
        let words = |name: &str| keywords(find(&answer, DelimiterTag::PrinterAttributes, name));
        let state = number(find(&answer, DelimiterTag::PrinterAttributes, "printer-state"));
        let accepting = find(&answer, DelimiterTag::PrinterAttributes, "printer-is-accepting-jobs");
        Some(meaning(
            state,
            !matches!(accepting.map(IppAttribute::value), Some(IppValue::Boolean(false))),
            &words("printer-state-reasons"),
        ))
    }
}

/// Whether a server that answers so may have taken the job all the same: one that broke down over it may, one that sends
/// us away or is overloaded has not.
fn may_have_been_read(status: reqwest::StatusCode) -> bool {
    status.is_server_error() && status != reqwest::StatusCode::SERVICE_UNAVAILABLE
}

/// RFC 8011, 5.4.11 and 5.4.12: state and reasons; a reason's ending says how grave it is.
fn meaning(state: Option<i32>, accepting: bool, reasons: &[String]) -> Status {
    let has = |names: &[&str]| {
        reasons.iter().any(|r| {
            names
                .iter()
                .any(|n| r.trim_end_matches("-error").trim_end_matches("-warning") == *n)
        })
    };
    if has(&["media-empty", "media-needed", "marker-supply-empty"]) {
        Status::PaperOut
    } else if has(&["cover-open", "door-open", "interlock-open"]) {
        Status::CoverOpen
    } else if has(&["marker-overheating", "printhead-over-temperature", "fuser-over-temp"]) {
        Status::HeadHot
    } else if has(&["cutter-jam", "trimmer-jam"]) {
        Status::Cutter
    } else if has(&["media-jam"]) || reasons.iter().any(|r| r.ends_with("-error")) {
        Status::Fault
    } else if !accepting || state == Some(PrinterState::Stopped as i32) || has(&["offline", "paused", "shutdown"]) {
        Status::Offline
    } else if state == Some(PrinterState::Processing as i32) {
        Status::Busy
    } else if has(&["media-low"]) {
        Status::PaperLow
    } else if state == Some(PrinterState::Idle as i32) {
        Status::Ready
    } else {
        Status::Unknown
    }
}

fn find<'a>(answer: &'a IppRequestResponse, group: DelimiterTag, name: &str) -> Option<&'a IppAttribute> {
    answer.attributes().groups_of(group).find_map(|g| g.get(name))
}

fn number(attribute: Option<&IppAttribute>) -> Option<i32> {
    match attribute?.value() {
        IppValue::Enum(n) | IppValue::Integer(n) => Some(*n),
        _ => None,
    }
}

fn keywords(attribute: Option<&IppAttribute>) -> Vec<String> {
    match attribute.map(IppAttribute::value) {
        Some(IppValue::Array(values)) => values.iter().map(ToString::to_string).collect(),
        Some(value) => vec![value.to_string()],
        None => Vec::new(),
    }
}

pub(super) async fn status(uri: &str, patience: Patience) -> Option<Status> {
    Server::new(uri, patience)?.status().await
}

pub(super) async fn print<F>(uri: &str, job: Job, patience: Patience, begun: F) -> Outcome
where
    F: AsyncFnOnce() -> bool,
{
    let Some(server) = Server::new(uri, patience) else {
        return Outcome::Unreachable;
    };
    match server.status().await {
        // A server queues what comes while it prints.
        Some(status) if status.takes_jobs() || status == Status::Busy => {}
        Some(status) => return Outcome::NotPrinted(status),
        None => return Outcome::Unreachable,
    }
    let format = match job.language {
        Language::Png => "image/png",
        _ => "application/vnd.cups-raw",
    };
    // One document a job: pages of a language follow each other in it, picture files are jobs of their own.
    let documents = match job.language {
        Language::Png => job.parts,
        _ => vec![job.parts.concat()],
    };
    let mut begun = Some(begun);
    for document in documents {
        let request = IppOperationBuilder::print_job(server.uri.clone(), IppPayload::empty())
            .job_title(&job.tag)
            .document_format(format)
            .build();
        let Ok(request) = request else {
            return Outcome::Unreachable;
        };
        let first = begun.take();
        let is_first = first.is_some();
        if let Some(begun) = first
            && !begun().await
        {
            return Outcome::Withheld;
        }
        match one(&server, request.into_ipp_request(), &document, patience).await {
            Outcome::Printed => {}
            Outcome::NotPrinted(_) | Outcome::Unreachable if !is_first => {
                return Outcome::Unknown("the server took only a part of the job");
            }
            other => return other,
        }
    }
    Outcome::Printed
}

/// Hands one document over and waits for what becomes of it.
async fn one(server: &Server, request: IppRequestResponse, document: &[u8], patience: Patience) -> Outcome {
    let answer = match server.ask(request, document).await {
        Ok(answer) => answer,
        Err(true) => return Outcome::NotPrinted(Status::Offline),
        Err(false) => return Outcome::Unknown("the print server fell silent over the job"),
    };
    if !answer.header().status_code().is_success() {
        tracing::warn!(ipp.status = %answer.header().status_code(), "the print server refused a job");
        return Outcome::NotPrinted(Status::Fault);
    }
    let Some(id) = number(find(&answer, DelimiterTag::JobAttributes, "job-id")) else {
        return Outcome::Unknown("the print server named no job");
    };
    let rounds = patience.busy.as_millis().div_ceil(PAUSE.as_millis());
    for _ in 0..rounds {
        let request = IppOperationBuilder::get_job_attributes(server.uri.clone(), id).build();
        let Ok(request) = request else { break };
        let state = match server.ask(request.into_ipp_request(), &[]).await {
            Ok(answer) => number(find(&answer, DelimiterTag::JobAttributes, "job-state")),
            Err(_) => None,
        };
        match state {
            Some(n) if n == JobState::Completed as i32 => return Outcome::Printed,
            Some(n) if n == JobState::Canceled as i32 || n == JobState::Aborted as i32 => {
                return Outcome::Unknown("the print server gave the job up");
            }
            _ => tokio::time::sleep(PAUSE).await,
        }
    }
    Outcome::Unknown("the print server does not come to an end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_have_their_meaning() {
        let meaning = |state, reasons: &[&str]| {
            let reasons: Vec<String> = reasons.iter().map(|r| (*r).to_owned()).collect();
            super::meaning(Some(state), true, &reasons)
        };
        assert_eq!(meaning(3, &["none"]), Status::Ready);
        assert_eq!(meaning(4, &["none"]), Status::Busy);
        assert_eq!(meaning(5, &["paused"]), Status::Offline);
        assert_eq!(meaning(5, &["media-empty-error"]), Status::PaperOut);
        assert_eq!(meaning(3, &["media-low-warning"]), Status::PaperLow);
        assert_eq!(meaning(5, &["cover-open"]), Status::CoverOpen);
        assert_eq!(meaning(5, &["spool-area-full-error"]), Status::Fault);
        assert_eq!(super::meaning(Some(3), false, &[]), Status::Offline);
    }
}
