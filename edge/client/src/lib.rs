//! Client of the signature server 签名验签服务器 for applications: HTTPS and JSON (`/v1` of `signd`), over several
//! appliances at once.
//!
//! # What it does for the caller
//! * **Spreads.** Each request goes to the server with the fewest requests under way, in turn among equals. Servers are
//!   asked every second whether they are ready; one that is leaving or away gets nothing while another one is there.
//! * **Retries what is safe.** A server that could not be reached, or said that it did nothing, did nothing: the request
//!   goes to another one.
//! * **Signs for one server.** A request with a request key names the server it is sent to and is accepted by that one
//!   alone; each try at another server is signed for that one. Servers say their names themselves. Behind a balancer the
//!   client cannot know which server will answer: see [`Settings::common_name`].
//! * **Signs anew.** A server that restarted accepts no request that may have been signed before; a request with a request
//!   key is signed again, for the time the server says, and sent again at once.
//! * **Says so when it cannot know.** When a connection broke after the request had left, there may be a signature and an
//!   entry in that server's log. The request goes again with the same idempotency key: first to the same server, which
//!   gives the very same answer if it had made one, and, if that is gone, to another one, which makes a new signature.
//!   The signature the first one may have made reached nobody; its entry stands in its log.
//! * **Ends.** Every call has a deadline, after which the error tells what certainly did not happen ([`Error::NotDone`])
//!   from what may have ([`Error::Unknown`]).
//!
//! What comes back names the server that answered ([`Answered::server`]): its log has the entry.
//!
//! ```no_run
//! # async fn example() -> Result<(), signd_client::Error> {
//! use signd_client::{Client, Content, Identity, Settings, SignMessage};
//! let pem = std::fs::read_to_string("his.pem").unwrap_or_default();
//! let mut settings = Settings::new(["https://sign1.example:8443", "https://sign2.example:8443"], Identity::certificate(pem));
//! settings.trust_pem = std::fs::read_to_string("signd-ca.pem").unwrap_or_default();
//! let client = Client::new(settings)?;
//! let signed = client.sign_message(&SignMessage::detached(Content::Data(b"..."))).await?;
//! println!("{} by {}", signed.answer.serial, signed.server);
//! # Ok(()) }
//! ```

mod acts;
mod attempt;
mod authorization;
mod call;
mod error;
mod server;
mod settings;

pub use acts::{Content, MessageSignature, SignData, SignMessage, Signatory, Signature, Verified, VerifyMessage};
pub use call::{Answered, Client};
pub use error::{Error, Refusal};
pub use server::Standing;
pub use settings::{Identity, Settings};
