//! The questions of a session: put to whoever is asked, while what was said before is on its way.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use postern_smtp::client::{
    AnswerError, CommandAnswer, CommandQuestion, Failure, Question, Response, ResponseAnswer,
    ResponseQuestion, Stage, TlsAnswer,
};
use postern_smtp::reply::EnhancedCode;
use tokio::time::timeout;

use super::{Connection, now};
use crate::content::ContentReader;
use crate::hooks::{RemoteEnd, SessionHooks};
use crate::link::BoxFuture;

/// How long commands that were gathered wait for an answer that may add to them.
const GATHERING: Duration = Duration::from_secs(1);

/// TLS has to be there and is not: why the session is over, in the words of whoever is asked, or as it is.
pub(super) async fn without_tls(
    hooks: &mut Option<Box<dyn SessionHooks>>,
    remote: &Arc<RemoteEnd>,
    why: String,
) -> Option<Arc<Failure>> {
    let hooks = hooks.as_mut().filter(|hooks| hooks.questions().tls)?;
    match hooks.tls(remote, why).await {
        TlsAnswer::Refuse(response) => Some(Arc::new(Failure::Declined {
            stage: Stage::StartTls,
            response,
        })),
        TlsAnswer::Proceed | TlsAnswer::End => None,
    }
}

impl Connection {
    /// Has a question answered, and goes on. `content`: of the message that is being sent.
    pub(super) async fn ask(&mut self, question: Question, content: &mut Option<ContentReader>) {
        if self.hooks.is_some() && self.remote.offers != self.session.offers() {
            Arc::make_mut(&mut self.remote).offers = self.session.offers().to_vec();
        }
        let taken = match question {
            Question::Command(question) => self.ask_about_command(question, content).await,
            Question::Tls { .. } => self.ask_about_tls().await,
            Question::Response(question) => self.ask_about_response(question).await,
        };
        if let Err(error) = taken
            && let Some(hooks) = &mut self.hooks
        {
            hooks.unfit(error);
        }
        self.session.handle_input(&mut self.input, now());
    }

    async fn ask_about_command(
        &mut self,
        question: CommandQuestion,
        content: &mut Option<ContentReader>,
    ) -> Result<(), AnswerError> {
        let Some(hooks) = &mut self.hooks else {
            return self.session.answer_command(CommandAnswer::Proceed, now());
        };
        let reply = hooks.command(question, &self.remote);
        let reply = self.while_writing(reply).await;
        let goes_on = match reply.revised {
            Some(revised) => {
                *content = Some(revised.content);
                self.session.revise(revised.transaction, now())
            }
            None => Ok(true),
        };
        let taken = match goes_on {
            Ok(true) => self.session.answer_command(reply.answer, now()),
            // Nothing of it can be sent, and that is its end.
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        if taken.is_err() {
            self.refuse_command();
        }
        taken
    }

    async fn ask_about_tls(&mut self) -> Result<(), AnswerError> {
        let Some(hooks) = &mut self.hooks else {
            return self.session.answer_tls(TlsAnswer::Proceed, now());
        };
        let answer = hooks.tls(&self.remote, String::new());
        let answer = self.while_writing(answer).await;
        let taken = self.session.answer_tls(answer, now());
        if taken.is_err() {
            self.session.answer_tls(TlsAnswer::End, now())?;
        }
        taken
    }

    async fn ask_about_response(&mut self, question: ResponseQuestion) -> Result<(), AnswerError> {
        let Some(hooks) = &mut self.hooks else {
            let as_it_came = ResponseAnswer::Proceed;
            return self.session.answer_response(as_it_came, now());
        };
        let answer = hooks.response(question, &self.remote);
        let answer = self.while_writing(answer).await;
        let taken = self.session.answer_response(answer, now());
        if taken.is_err() {
            let as_it_came = ResponseAnswer::Proceed;
            self.session.answer_response(as_it_came, now())?;
        }
        taken
    }

    /// The answer about a command does not fit: what it is for is put off. Where there is nothing to put off it is sent.
    fn refuse_command(&mut self) {
        let text = b"A filter asked for what this session cannot do";
        let refusal = CommandAnswer::Refuse(Arc::new(Response {
            code: 451,
            enhanced: EnhancedCode::new(4, 3, 0).ok(),
            lines: vec![Bytes::from_static(text)],
        }));
        if self.session.answer_command(refusal, now()).is_err() {
            self.session.proceed_by_default(now());
        }
    }

    /// Waits for an answer while what was said before is on its way. Commands that the answer might have added to go without
    /// it once that takes long: a remote counts the time from one command to the next.
    async fn while_writing<T>(&mut self, mut answer: BoxFuture<'static, T>) -> T {
        match timeout(GATHERING, self.writing(&mut answer)).await {
            Ok(answer) => answer,
            Err(_) => {
                self.output.extend(self.session.take_gathered());
                self.writing(&mut answer).await
            }
        }
    }

    async fn writing<T>(&mut self, answer: &mut BoxFuture<'static, T>) -> T {
        poll_fn(|cx| {
            let answered = answer.as_mut().poll(cx);
            // Where the link is broken, that is found when something is read or written next.
            if answered.is_pending() && self.poll_write(cx).is_err() {
                tracing::debug!(address = self.address, "connection lost");
            }
            answered
        })
        .await
    }
}
