//! `hil`: the bench. Each subcommand is a peer of its own with its own process and books.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

#[derive(Parser)]
#[command(about = "Bench peers that speak the genuine protocols and misbehave on command")]
struct Cli {
    #[command(subcommand)]
    peer: Peer,
}

#[derive(Subcommand)]
enum Peer {
    /// A hospital information system: SOAP, HL7 over MLLP, its own books.
    His(HisArgs),
    /// A payment channel in the shape of WeChat Pay APIv3, with its cashier page.
    Pay(PayArgs),
    /// An SMS gateway, the demo phone and the authenticator.
    Sms(SmsArgs),
    /// A network receipt printer.
    Printer(PrinterArgs),
    /// A TCP proxy that breaks lines on command.
    Proxy(ProxyArgs),
    /// A software TPM 2.0 in the foreground.
    Tpm(TpmArgs),
    /// A time server: NTP and NTS.
    Time(TimeArgs),
    /// A certificate authority: CRLs, OCSP, certificates and time stamps.
    Ca(CaArgs),
    /// A signature server of others: GB/T 38629 over HTTPS.
    Svs(SvsArgs),
    /// The recorder dock: the real firmware image under QEMU.
    Dock(bench_dock::Arguments),
    /// What stands in front of a self-service terminal: card reader and scanner.
    Reader(bench_reader::Arguments),
}

#[derive(Args)]
struct HisArgs {
    /// The SQLite file; filled from the seed when new.
    #[arg(long, default_value = "his.sqlite")]
    db: PathBuf,
    /// Decides histories, stock and schedules of a new file.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    #[arg(long, default_value = "127.0.0.1")]
    bind: IpAddr,
    #[arg(long, default_value_t = 7001)]
    soap: u16,
    #[arg(long, default_value_t = 7002)]
    mllp: u16,
    #[arg(long, default_value_t = 7003)]
    control: u16,
    /// Charset of SOAP replies.
    #[arg(long, default_value = "utf-8")]
    charset: String,
    /// Whether order numbers of the caller make a call idempotent.
    #[arg(long, value_enum, default_value_t = Keys::Ignore)]
    keys: Keys,
    #[arg(long, default_value_t = 15)]
    lock_minutes: i64,
    /// Where stop-clinic notices go as SOAP.
    #[arg(long)]
    callback_soap: Option<String>,
    /// Where stop-clinic notices go as HL7, host:port.
    #[arg(long)]
    callback_mllp: Option<String>,
    /// Base of file addresses in replies; the SOAP address when absent.
    #[arg(long, default_value = "")]
    public_base: String,
    /// Print the demo patients, doctors and departments as JSON and end.
    #[arg(long)]
    print_demo: bool,
}

#[derive(Args)]
struct PayArgs {
    /// Directory of keys; filled at the first start.
    #[arg(long)]
    keys: PathBuf,
    /// The ledger's SQLite file.
    #[arg(long, default_value = "pay.sqlite")]
    db: PathBuf,
    /// Merchants served.
    #[arg(long, default_values_t = ["1900000109".to_owned()])]
    mchid: Vec<String>,
    #[arg(long, default_value = "127.0.0.1")]
    bind: IpAddr,
    #[arg(long, default_value_t = 7010)]
    api: u16,
    #[arg(long, default_value_t = 7011)]
    control: u16,
    /// Base of the cashier's addresses; the API address when absent.
    #[arg(long, default_value = "")]
    public_base: String,
    /// How long a refund stays PROCESSING.
    #[arg(long, default_value_t = 1_500)]
    refund_ms: u64,
    /// Waits between attempts of a notification.
    #[arg(long, value_delimiter = ',', default_values_t = [2_000, 2_000, 5_000, 10_000, 30_000, 60_000])]
    retry_ms: Vec<u64>,
    /// Make the keys, print the first merchant's card and end.
    #[arg(long)]
    make_keys: bool,
}

#[derive(Args)]
struct SmsArgs {
    #[arg(long, default_value = "127.0.0.1")]
    bind: IpAddr,
    #[arg(long, default_value_t = 7020)]
    api: u16,
    #[arg(long, default_value_t = 7021)]
    control: u16,
    #[arg(long, default_value = "AKIDbench")]
    secret_id: String,
    #[arg(long, default_value = "bench-sms-secret")]
    secret_key: String,
    /// JSON object of login and base32 TOTP secret.
    #[arg(long)]
    totp: Option<PathBuf>,
}

#[derive(Args)]
struct PrinterArgs {
    #[arg(long, default_value = "127.0.0.1")]
    bind: IpAddr,
    #[arg(long, default_value_t = 9100)]
    port: u16,
    #[arg(long, default_value_t = 7031)]
    control: u16,
    /// Dots across the head: 576 (80 mm), 864 (4 inch, 203 dpi), 1280 (4 inch, 300 dpi).
    #[arg(long, default_value_t = 864)]
    dots: usize,
    /// Dots an inch, 203 or 300.
    #[arg(long, default_value_t = 203)]
    dpi: usize,
    /// escpos, tspl or zpl.
    #[arg(long, default_value = "escpos", value_parser = ["escpos", "tspl", "zpl"])]
    language: String,
    /// Speed; 960 is 120 mm/s at 203 dpi.
    #[arg(long, default_value_t = 960)]
    rows_per_s: u64,
    /// Idle connections are closed after this; 0 never.
    #[arg(long, default_value_t = 90)]
    idle_s: u64,
    /// Switched on without paper in it.
    #[arg(long)]
    no_paper: bool,
}

#[derive(Args)]
struct ProxyArgs {
    /// `name=LISTEN=TARGET`, e.g. `line=18883=127.0.0.1:8883`; may be repeated.
    #[arg(long, required = true)]
    pair: Vec<bench_net::proxy::Pair>,
    #[arg(long, default_value = "127.0.0.1:7041")]
    control: SocketAddr,
}

#[derive(Args)]
struct TpmArgs {
    /// State directory; manufactured at the first start.
    #[arg(long)]
    state: PathBuf,
    #[arg(long, default_value = "127.0.0.1")]
    bind: IpAddr,
    #[arg(long, default_value_t = 2321)]
    port: u16,
    /// swtpm's own control port.
    #[arg(long, default_value_t = 2322)]
    control: u16,
}

#[derive(Args)]
struct TimeArgs {
    #[arg(long, default_value = "127.0.0.1")]
    bind: IpAddr,
    #[arg(long, default_value_t = 7050)]
    ntp: u16,
    /// Port of the key exchange of NTS.
    #[arg(long, default_value_t = 7051)]
    exchange: u16,
    #[arg(long, default_value_t = 7052)]
    control: u16,
    /// Name in the certificate of the key exchange.
    #[arg(long, default_value = "127.0.0.1")]
    name: String,
    /// How far its clock is ahead of the machine's.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    offset_ms: i64,
    /// Where the root of that certificate is written, PEM.
    #[arg(long)]
    ca: Option<PathBuf>,
}

#[derive(Args)]
struct CaArgs {
    /// Its folder; filled at the first start.
    #[arg(long)]
    dir: PathBuf,
    /// The kind of its keys, at the first start: sm2, p256, rsa.
    #[arg(long, default_value = "sm2", value_parser = |name: &str| bench_ca::Kind::named(name).ok_or("sm2, p256 or rsa"))]
    kind: bench_ca::Kind,
    #[arg(long, default_value = "127.0.0.1")]
    bind: IpAddr,
    #[arg(long, default_value_t = 7060)]
    site: u16,
    #[arg(long, default_value_t = 7062)]
    control: u16,
    /// Base of the addresses in its certificates; the site's address when absent.
    #[arg(long, default_value = "")]
    public_base: String,
}

#[derive(Args)]
struct SvsArgs {
    /// Its folder; filled at the first start.
    #[arg(long)]
    dir: PathBuf,
    #[arg(long, default_value = "127.0.0.1")]
    bind: IpAddr,
    #[arg(long, default_value_t = 7070)]
    serve: u16,
    #[arg(long, default_value_t = 7072)]
    control: u16,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Keys {
    Ignore,
    Honour,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    rig::logs();
    match Cli::parse().peer {
        Peer::His(args) => ended(his(args)).await,
        Peer::Pay(args) => ended(pay(args)).await,
        Peer::Sms(args) => ended(sms(args)).await,
        Peer::Printer(args) => ended(printer(args)).await,
        Peer::Proxy(args) => ended(proxy(args)).await,
        Peer::Tpm(args) => ended(tpm(args)).await,
        Peer::Time(args) => ended(time(args)).await,
        Peer::Ca(args) => ended(ca(args)).await,
        Peer::Svs(args) => ended(svs(args)).await,
        Peer::Dock(args) => ended(bench_dock::run(args)).await,
        Peer::Reader(args) => ended(bench_reader::run(args, rig::announce_ready)).await,
    }
}

/// Runs a peer until it fails or the process is told to stop.
async fn ended(peer: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        done = peer => done,
        _ = terminate.recv() => Ok(()),
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

async fn his(args: HisArgs) -> anyhow::Result<()> {
    if args.print_demo {
        println!("{}", serde_json::to_string_pretty(&bench_his::demo())?);
        return Ok(());
    }
    let charset =
        bench_his::Charset::named(&args.charset).ok_or_else(|| anyhow::anyhow!("unknown charset {}", args.charset))?;
    let settings = bench_his::Settings {
        db: args.db,
        seed: args.seed,
        soap: SocketAddr::new(args.bind, args.soap),
        mllp: SocketAddr::new(args.bind, args.mllp),
        control: SocketAddr::new(args.bind, args.control),
        options: bench_his::Options {
            honour_keys: args.keys == Keys::Honour,
            charset,
            lock_minutes: args.lock_minutes,
            callback_soap: args.callback_soap,
            callback_mllp: args.callback_mllp,
            public_base: args.public_base,
        },
    };
    bench_his::run(settings, |_| rig::announce_ready()).await?;
    Ok(())
}

async fn pay(args: PayArgs) -> anyhow::Result<()> {
    if args.make_keys {
        bench_pay::make_keys(&args.keys, &args.mchid)?;
        let first = args.mchid.first().map_or("", String::as_str);
        print!(
            "{}",
            std::fs::read_to_string(args.keys.join(first).join("merchant.json"))?
        );
        return Ok(());
    }
    let settings = bench_pay::Settings {
        db: args.db,
        keys: args.keys,
        merchants: args.mchid,
        api: SocketAddr::new(args.bind, args.api),
        control: SocketAddr::new(args.bind, args.control),
        public_base: args.public_base,
        refund_ms: args.refund_ms,
        retry_ms: args.retry_ms,
    };
    bench_pay::run(settings, |_| rig::announce_ready()).await?;
    Ok(())
}

async fn sms(args: SmsArgs) -> anyhow::Result<()> {
    let settings = bench_net::sms::Settings {
        api: SocketAddr::new(args.bind, args.api),
        control: SocketAddr::new(args.bind, args.control),
        secret_id: args.secret_id,
        secret_key: args.secret_key,
        totp: args.totp,
    };
    bench_net::sms::run(settings, |_, _| rig::announce_ready()).await?;
    Ok(())
}

async fn printer(args: PrinterArgs) -> anyhow::Result<()> {
    use bench_net::printer::Tongue;
    let settings = bench_net::printer::Settings {
        port: SocketAddr::new(args.bind, args.port),
        control: SocketAddr::new(args.bind, args.control),
        tongue: match args.language.as_str() {
            "tspl" => Tongue::Tspl,
            "zpl" => Tongue::Zpl,
            _ => Tongue::Escpos,
        },
        dots: args.dots,
        dpi: args.dpi,
        rows_per_s: args.rows_per_s,
        idle_s: args.idle_s,
        paper: !args.no_paper,
    };
    bench_net::printer::run(settings, |_, _| rig::announce_ready()).await?;
    Ok(())
}

async fn proxy(args: ProxyArgs) -> anyhow::Result<()> {
    bench_net::proxy::run(args.pair, args.control, |_, _| rig::announce_ready()).await?;
    Ok(())
}

async fn tpm(args: TpmArgs) -> anyhow::Result<()> {
    let settings = bench_net::tpm::Settings {
        state: args.state,
        bind: args.bind,
        port: args.port,
        control: args.control,
    };
    bench_net::tpm::run(settings, rig::announce_ready).await?;
    Ok(())
}

async fn time(args: TimeArgs) -> anyhow::Result<()> {
    let settings = bench_time::Settings {
        bind: args.bind,
        ntp: args.ntp,
        exchange: args.exchange,
        name: args.name,
        offset_ms: args.offset_ms,
    };
    let control = tokio::net::TcpListener::bind(SocketAddr::new(args.bind, args.control)).await?;
    let server = bench_time::Server::start(settings).await?;
    if let Some(file) = &args.ca {
        std::fs::write(file, &server.ca_pem)?;
    }
    rig::announce_ready();
    rig::serve_control(control, server.control()).await?;
    Ok(())
}

async fn svs(args: SvsArgs) -> anyhow::Result<()> {
    let settings = bench_ca::OutsideSettings {
        folder: args.dir,
        serve: SocketAddr::new(args.bind, args.serve),
        control: SocketAddr::new(args.bind, args.control),
    };
    bench_ca::run_outside(settings, |_| rig::announce_ready()).await?;
    Ok(())
}

async fn ca(args: CaArgs) -> anyhow::Result<()> {
    let settings = bench_ca::Settings {
        folder: args.dir,
        kind: args.kind,
        site: SocketAddr::new(args.bind, args.site),
        control: SocketAddr::new(args.bind, args.control),
        public_base: args.public_base,
    };
    bench_ca::run(settings, |_| rig::announce_ready()).await?;
    Ok(())
}
