//! What the hospital, the printer and the journal answer to what the session asks.

use records::his::HistoryQuestion;
use store::StoreError;

use crate::card::Tail;
use crate::desk::Kiosk;
use crate::hospital::{Content, Person, Token, Trouble};
use crate::paper::{self, Document, Paper};
use crate::prescription::NotPrinted;
use crate::session::{Answer, Ask, Task};
use crate::tries::Checked;

impl Kiosk {
    pub(crate) async fn answer(&self, ask: Ask) -> Option<Answer> {
        let inner = &self.inner;
        let (hospital, now) = (&inner.hospital, inner.clock.now());
        Some(match ask {
            Ask::Who(Token::PatientCode(code)) => match inner.codes.take(&code).await {
                Ok(bearer) => {
                    let person = Person {
                        his_patient_id: bearer.his_patient_id,
                        name: bearer.name,
                    };
                    Answer::Bearer(person, Task::parse(&bearer.task))
                }
                Err(refused) => Answer::Who(Err(Trouble::Refused(refused.to_string()))),
            },
            Ask::Who(token) => Answer::Who(hospital.who(&token).await),
            Ask::Check(person, card, tail) => Answer::Checked(self.check(&person, &card, tail).await),
            Ask::Visits(person) => Answer::Visits(hospital.visits(&person, now.local_date()).await),
            Ask::CheckIn(person, visit) => {
                let place = hospital.check_in(&visit.order).await;
                Answer::Place(place.map(|place| {
                    let ticket = paper::ticket(&inner.config.hospital, &person, &visit, &place, now);
                    Some((place, Box::new(ticket)))
                }))
            }
            Ask::Place(person, visit) => {
                let place = hospital.place(&visit.order).await;
                Answer::Place(place.map(|place| {
                    place.map(|place| {
                        let ticket = paper::ticket(&inner.config.hospital, &person, &visit, &place, now);
                        (place, Box::new(ticket))
                    })
                }))
            }
            Ask::Documents(person, task) => {
                let question = self.history(&person);
                let found = match task {
                    Task::Prescriptions => hospital.prescriptions(&question).await,
                    _ => hospital.reports(&question).await,
                };
                Answer::Documents(match found {
                    Ok(found) => Ok(self.on_offer(&person, found).await),
                    Err(trouble) => Err(trouble),
                })
            }
            Ask::Prescribed(code) => {
                let found = inner.papers.find(&code).await;
                Answer::Prescribed(found.map_err(|why| Trouble::Refused(why.to_string())))
            }
            Ask::Prescription(person, wanted) => {
                // Of this person only, whatever the paper says.
                let found = hospital.prescriptions(&self.history(&person)).await;
                Answer::Documents(match found {
                    Ok(mut found) => {
                        found.retain(|c| matches!(c, Content::Prescription(p) if p.number == wanted.his_number));
                        if found.is_empty() {
                            Err(Trouble::Refused(NotPrinted::NotListed.to_string()))
                        } else {
                            Ok(self.on_offer(&person, found).await)
                        }
                    }
                    Err(trouble) => Err(trouble),
                })
            }
            Ask::Bills(person) => {
                let bills = match hospital.bills(&person).await {
                    Ok(bills) => bills,
                    Err(trouble) => return Some(Answer::Bills(Err(trouble))),
                };
                // Receipts are a comfort: without them what is to be paid is shown all the same.
                let receipts = inner.money.receipts(&person, now).await.unwrap_or_else(|error| {
                    tracing::error!(%error, "receipts were not looked up");
                    Vec::new()
                });
                Answer::Bills(Ok((bills, self.with_paper(receipts).await)))
            }
            Ask::Print(document, again) => {
                let Some(printer) = &inner.config.printer else {
                    return Some(Answer::Paper(document.key, Paper::Down("本机没有打印机".to_owned())));
                };
                let paper = paper::print(&inner.hub, &inner.config, printer, &document, again).await;
                let paper = paper.unwrap_or_else(|error| {
                    tracing::error!(%error, "the spool cannot be used");
                    Paper::Down("暂时不能打印，请到服务台".to_owned())
                });
                Answer::Paper(document.key, paper)
            }
            Ask::Withdraw(key) => {
                let withdrawn: Result<(), StoreError> = paper::withdraw(&inner.hub, &inner.config, &key).await;
                if let Err(error) = withdrawn {
                    tracing::error!(%error, "a paper nobody waits for was not withdrawn");
                }
                return None;
            }
        })
    }

    /// Whether what was typed is what the hospital has of whoever owns the card. While it is locked nothing is compared,
    /// and what the hospital did not answer is no wrong answer.
    async fn check(&self, person: &Person, card: &Token, tail: Tail) -> Result<Checked, Trouble> {
        let inner = &self.inner;
        let away = |error: StoreError| {
            tracing::error!(%error, "what was typed beside a card was not judged");
            Trouble::Away
        };
        let patient = &person.his_patient_id;
        if let Some(locked) = inner.tries.locked(patient).await.map_err(away)? {
            return Ok(locked);
        }
        let found = inner.hospital.by_card(card).await?;
        let found = found.filter(|found| found.his_patient_id == *patient);
        let expected = found
            .map(|found| inner.config.card.expected(&found))
            .unwrap_or_default();
        if expected.is_empty() {
            return Ok(Checked::NotOnRecord);
        }
        let right = expected.contains(&tail);
        inner.tries.judge(patient, right).await.map_err(away)
    }

    /// What the hospital is asked for of a person's past.
    fn history(&self, person: &Person) -> HistoryQuestion {
        let to = self.inner.clock.now().local_date();
        HistoryQuestion {
            his_patient_id: person.his_patient_id.clone(),
            from: to.plus_days(-i64::from(self.inner.config.history_days)),
            to,
        }
    }

    /// As documents, with how their paper stands.
    async fn on_offer(&self, person: &Person, found: Vec<Content>) -> Vec<Document> {
        let hospital = &self.inner.config.hospital;
        let documents = found.into_iter().map(|c| paper::document(hospital, person, c));
        self.with_paper(documents.collect()).await
    }

    /// Documents, with how their paper stands.
    async fn with_paper(&self, mut documents: Vec<Document>) -> Vec<Document> {
        if let Some(printer) = &self.inner.config.printer {
            for document in &mut documents {
                let looked = paper::look(&self.inner.hub, printer, &document.key).await;
                document.paper = looked.unwrap_or_default();
            }
        }
        documents
    }
}
