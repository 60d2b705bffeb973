//! Signs a file over one or more signature servers, and verifies what came back:
//! `cargo run -p signd-client --example sign -- --server https://sign1:8443 --server https://sign2:8443 --trust ca.pem
//! --identity his.pem report.pdf` writes `report.pdf.p7s`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use signd_client::{Client, Content, Identity, Settings, SignMessage, VerifyMessage};

#[derive(Parser)]
struct Arguments {
    /// Address of a server; may be repeated.
    #[arg(long = "server", required = true)]
    servers: Vec<String>,
    /// Certificates that vouch for the servers, PEM.
    #[arg(long)]
    trust: PathBuf,
    /// The application's certificate and private key, PEM.
    #[arg(long)]
    identity: PathBuf,
    /// What to sign.
    file: PathBuf,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let identity = std::fs::read_to_string(&arguments.identity).context("the identity")?;
    let mut settings = Settings::new(arguments.servers, Identity::certificate(identity));
    settings.trust_pem = std::fs::read_to_string(&arguments.trust).context("the trusted certificates")?;
    let client = Client::new(settings)?;
    let data = std::fs::read(&arguments.file).context("the file")?;
    let signed = client
        .sign_message(&SignMessage::detached(Content::Data(&data)))
        .await?;
    let mut name = arguments.file.into_os_string();
    name.push(".p7s");
    std::fs::write(&name, &signed.answer.message).context("writing the signature")?;
    println!(
        "{} signed by {} in {} tries",
        signed.answer.serial, signed.server, signed.tries
    );
    let asked = VerifyMessage {
        message: &signed.answer.message,
        data: Some(&data),
    };
    for signer in client.verify_message(&asked).await?.answer.signers {
        println!("holds: {} {} {}", signer.signer, signer.serial, signer.algorithm);
    }
    Ok(())
}
