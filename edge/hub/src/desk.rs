//! What people do with printing: look at the queue, decide, print a test page, look for printers.

use std::path::Path;

use printer::Status;
use printer::wire::find;
use records::line::{PrintJob, Slip};
use records::paper::{Decide, FoundPrinter, PaperKind, QueuePrinter, QueueView, QueuedJob, TestPage};
use store::StoreError;

use crate::hub::Hub;
use crate::spool::{self, Job, Refusal, Step};
use crate::template;

impl Hub {
    /// A person decides about a job: [`Step::MarkPrinted`], [`Step::Reprint`] or [`Step::Cancel`].
    ///
    /// # Errors
    /// Of the database; `Ok(Err(_))` when the step does not fit the job's state.
    pub async fn decide(&self, key: &str, step: Step) -> Result<Result<Job, Refusal>, StoreError> {
        self.decide_by(key, step, "").await
    }

    /// Likewise, with the person's name for the trail.
    ///
    /// # Errors
    /// As [`Hub::decide`].
    pub async fn decide_by(&self, key: &str, step: Step, by: &str) -> Result<Result<Job, Refusal>, StoreError> {
        let note = match step {
            Step::MarkPrinted => "人工核对：已打印",
            Step::Reprint => "人工要求补打",
            _ => "人工取消",
        };
        let note = if by.is_empty() {
            note.to_owned()
        } else {
            format!("{note}（{by}）")
        };
        let done = self.step(key, step, &note).await;
        self.wake();
        done
    }

    /// Open jobs first, then the newest.
    ///
    /// # Errors
    /// Of the database.
    pub async fn jobs(&self, limit: usize) -> Result<Vec<Job>, StoreError> {
        self.inner
            .store
            .read(&self.inner.scope, move |tx| {
                Box::pin(async move { spool::latest(tx, limit).await })
            })
            .await
    }

    /// Printers, jobs and templates, for people.
    ///
    /// # Errors
    /// Of the database.
    pub async fn queue(&self) -> Result<QueueView, StoreError> {
        let counts = self.counts().await?;
        let printers = self.inner.printers.iter().map(|p| {
            let (waiting, unknown) = counts.get(&p.config.id).copied().unwrap_or_default();
            QueuePrinter {
                id: p.config.id.clone(),
                name: p.config.name.clone(),
                state: self.status_of(&p.config.id).word().to_owned(),
                language: p.config.language.name().to_owned(),
                address: p.address.to_string(),
                width: p.config.width,
                dpi: p.config.dpi,
                height: p.config.sheet().height,
                stand_in: p.config.stand_in.clone(),
                waiting,
                unknown,
            }
        });
        let printers = printers.collect();
        let templates = self.inner.store.read(&self.inner.scope, |tx| {
            Box::pin(async move { template::versions(tx).await })
        });
        Ok(QueueView {
            printers,
            templates: templates.await?,
            jobs: self.jobs(100).await?.iter().map(view).collect(),
        })
    }

    /// Prints a document that did not come by the log: the kiosk's, a test page. The same key again prints nothing.
    ///
    /// # Errors
    /// Of the database.
    pub async fn print(&self, job: PrintJob) -> Result<Option<QueuedJob>, StoreError> {
        let key = job.key.clone();
        let done = self.inner.store.write(&self.inner.scope, move |tx| {
            let job = job.clone();
            Box::pin(async move {
                spool::accept(tx, &job).await?;
                spool::by_key(tx, &job.key).await
            })
        });
        let kept = done.await?;
        self.wake();
        Ok(kept.as_ref().filter(|k| k.key == key).map(view))
    }

    /// A job by its key.
    ///
    /// # Errors
    /// Of the database.
    pub async fn job(&self, key: &str) -> Result<Option<Job>, StoreError> {
        let key = key.to_owned();
        let read = self.inner.store.read(&self.inner.scope, move |tx| {
            let key = key.clone();
            Box::pin(async move { spool::by_key(tx, &key).await })
        });
        read.await
    }

    /// Why a printer takes no jobs now, in plain words; `None` when it takes them, or is busy and will.
    pub fn out_of_order(&self, id: &str) -> Option<&'static str> {
        let status = self.status_of(id);
        (!status.takes_jobs() && status != Status::Busy).then(|| status.words())
    }

    /// Prints a test page; `None` when there is no such printer.
    ///
    /// # Errors
    /// Of the database.
    pub async fn test_page(&self, asked: &TestPage, at: &str) -> Result<Option<QueuedJob>, StoreError> {
        let Some(printer) = self.inner.printers.iter().find(|p| p.config.id == asked.printer) else {
            return Ok(None);
        };
        let config = &printer.config;
        let kind = if config.label_mm.is_some() {
            PaperKind::Label
        } else {
            PaperKind::Receipt
        };
        let sample = kind.sample();
        let facts = [
            ("姓名", "测试页，请勿作凭证".to_owned()),
            ("患者", "测试页，请勿使用".to_owned()),
            ("药品", "生僻字：𬭩 䶮 龘 㐂".to_owned()),
            (
                "用法",
                format!("{} 点 · {} dpi · {}", config.width, config.dpi, config.language.name()),
            ),
            ("科室", config.name.clone()),
            ("医生", "生僻字：𬭩 䶮 龘 㐂".to_owned()),
            (
                "收费项目",
                format!("{} 点 · {} dpi · {}", config.width, config.dpi, config.language.name()),
            ),
            ("收费时间", at.to_owned()),
            ("日期", at.to_owned()),
        ];
        let fields = sample.fields.into_iter().filter_map(|(label, _)| {
            let value = facts.iter().find(|(l, _)| *l == label)?;
            Some((label, value.1.clone()))
        });
        let job = PrintJob {
            key: asked.key.clone(),
            printer: config.id.clone(),
            subject: "test_page".to_owned(),
            kind,
            slip: Slip {
                header: "医桥前置机".to_owned(),
                title: "打印机测试页".to_owned(),
                fields: fields.collect(),
                items: Vec::new(),
                total_fen: None,
                qr: Some("YIQIAO-TEST-0123456789".to_owned()),
                footer: vec![format!("操作：{}", asked.by)],
            },
        };
        self.print(job).await
    }

    /// Looks for printers on USB and, at port 9100, in the appliance's own networks. Takes up to half a minute; the
    /// configured ones are not asked, because they may be printing.
    pub async fn find(&self) -> Vec<FoundPrinter> {
        let mut found = find::scan(&find::own_networks(), find::PORT).await;
        for address in find::usb(Path::new("/dev/usb")) {
            if !self.inner.printers.iter().any(|p| p.address == address) {
                found.push(find::identify(&address).await);
            }
        }
        let view = |f: find::Found| FoundPrinter {
            known_as: self
                .inner
                .printers
                .iter()
                .find(|p| p.address == f.address)
                .map(|p| p.config.id.clone()),
            address: f.address.to_string(),
            language: f.language.map(|l| l.name().to_owned()),
            state: f.status.word().to_owned(),
        };
        found.into_iter().map(view).collect()
    }
}

/// The step of a person's decision.
pub const fn step_of(act: Decide) -> Step {
    match act {
        Decide::MarkPrinted => Step::MarkPrinted,
        Decide::Reprint => Step::Reprint,
        Decide::Cancel => Step::Cancel,
    }
}

/// A job without what is on it.
pub fn view(job: &Job) -> QueuedJob {
    QueuedJob {
        key: job.key.clone(),
        kind: job.paper(),
        printer: job.printer.clone(),
        used: Some(job.used.clone()).filter(|u| !u.is_empty()),
        state: job.state.as_str().to_owned(),
        copy: job.copy,
        note: job.note.clone(),
        created_at: job.created_at,
        changed_at: job.changed_at,
    }
}
