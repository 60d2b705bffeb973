//! `site up`: runs the whole product on this machine until Ctrl-C.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use site::ports::Ports;
use site::{Addresses, Claim, Options, Site};
use smtls::Offer;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs everything until Ctrl-C.
    Up {
        /// Where the run keeps its data.
        #[arg(long)]
        dir: PathBuf,
        /// First port.
        #[arg(long)]
        port: u16,
        /// Print the addresses as one JSON line.
        #[arg(long)]
        json: bool,
        /// Forget earlier data first.
        #[arg(long)]
        fresh: bool,
        /// TLS algorithms between appliance and cloud: classic, sm, sm-first or classic-first.
        #[arg(long, default_value_t = Offer::Classic)]
        tls: Offer,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<()> {
    let Command::Up {
        dir,
        port,
        json,
        fresh,
        tls,
    } = command;
    site::prepare();
    if fresh && dir.join("cloud/taken-in").exists() {
        // Not under the feet of another run.
        let _claim = Claim::take(&dir)?;
        std::fs::remove_dir_all(&dir).with_context(|| format!("removing {}", dir.display()))?;
    }
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let started = Instant::now();
    let options = Options {
        progress: |part| eprintln!("· {part} …"),
        tls,
        ..Options::at(Ports { first: port })
    };
    let mut site = tokio::select! {
        started = Site::start(&dir, options) => started?,
        _ = interrupted.recv() => return Ok(()),
        _ = terminated.recv() => return Ok(()),
    };
    eprintln!("· started in {:.1} s", started.elapsed().as_secs_f64());
    let mut out = std::io::stdout();
    if json {
        writeln!(out, "{}", serde_json::to_string(site.addresses())?)?;
    } else {
        writeln!(out, "{}", table(site.addresses()))?;
    }
    out.flush()?;
    let fallen = loop {
        tokio::select! {
            _ = interrupted.recv() => break None,
            _ = terminated.recv() => break None,
            () = tokio::time::sleep(Duration::from_secs(1)) => {
                if let Some(name) = site.processes().fallen() {
                    break Some(name);
                }
            }
        }
    };
    eprintln!("· stopping …");
    let killed = site.stop().await;
    if !killed.is_empty() {
        eprintln!("· had to be killed: {}", killed.join(", "));
    }
    match fallen {
        Some(name) => bail!(
            "{name} ended by itself; see {}",
            dir.join(format!("logs/{name}.log")).display()
        ),
        None => Ok(()),
    }
}

fn table(a: &Addresses) -> String {
    let d = &a.demo;
    format!(
        "
  患者端      {web}/patient/     手机号 {phone}（验证码见演示手机）
  医生/药师端 {web}/doctor/      {doctor} / {pharmacist}，密码 {password}，动态口令见演示手机
  管理端      {web}/admin/       {admin}，密码 {password}，动态口令见演示手机
  演示手机    {demo_phone}
  打印机纸张  {paper}
  前置机控制台 {console}
  自助机      {kiosk}   放身份证、出示条码见 {reader}/control
  签名服务器  {signd}   首次使用的设置码见 {code}

  就诊人：{name}，身份证号 {id}，可复诊科室：{department}
  Ctrl-C 停止；再次运行保留数据；--fresh 清空。
",
        web = a.web,
        phone = d.patient_phone,
        doctor = d.doctor_login,
        pharmacist = d.pharmacist_login,
        admin = d.admin_login,
        password = d.staff_password,
        demo_phone = a.phone,
        paper = a.paper,
        console = a.console,
        kiosk = a.kiosk,
        reader = a.reader,
        signd = a.signd,
        code = a.data.join("signd/setup-code").display(),
        name = d.patient_name,
        id = d.patient_id_number,
        department = d.department_name,
    )
}
