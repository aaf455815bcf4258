/**
 * The builds of open notebooks as JupyterLab's own notifications: how far, Cancel, and how it ended.
 *
 * The server tells of them by events. A build that is silent is asked for, so that none is shown for
 * ever when its end came while the network was away.
 */
import { Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import type { Event } from '@jupyterlab/services';
import { Widget } from '@lumino/widgets';

import { NIXENV, type Notebook } from './notebook';
import type { Server } from './server';
import {
  failure,
  isTask,
  line,
  report,
  SCHEMA,
  type ITask,
  type ITaskError
} from './task';

/** Milliseconds of silence after which a build is asked for. */
const SILENCE = 5000;
/** Seconds below which a build's end is not worth a word. */
const BRIEF = 2;
/** Milliseconds for which a success is shown. */
const GLANCE = 4000;

/** What is on the screen of one notebook's builds: after a reload there may be two of the same. */
interface IShown {
  /** Of the notification. */
  id: string;
  /** The builds that run, and the timers that ask for them. */
  running: Map<string, number>;
  isCancelled: boolean;
  /** Its toast was seen, so that when it is away the user has closed it. */
  wasSeen: boolean;
}

export class Progress {
  constructor(
    private readonly _server: Server,
    events: Event.IManager,
    private readonly _notebooks: () => Notebook[]
  ) {
    events.stream.connect((_events, emission: Event.Emission) => {
      const event: unknown = emission;
      if (emission.schema_id === SCHEMA && isTask(event)) {
        this._show(event);
      }
    });
  }

  /** Show what is under way: of builds that began before this page no first event comes. */
  async resume(): Promise<void> {
    for (const task of await this._server.tasks()) {
      if (task.state === 'running') {
        this._show(task);
      }
    }
  }

  /** The notebook is closed, or builds again: what was said about it is of no interest any more. */
  forget(notebook: Notebook): void {
    Notification.manager.notifications
      .filter(({ options }) => options.data === notebook.id)
      .forEach(({ id }) => Notification.dismiss(id));
    this._shown.get(notebook)?.running.forEach(timer => window.clearTimeout(timer));
    this._shown.delete(notebook);
  }

  private _show(task: ITask): void {
    const notebook = this._notebooks().find(one => belongs(task, one));
    if (!notebook) {
      return;
    }
    if (task.state === 'running') {
      const shown = this._shown.get(notebook) ?? this._begin(notebook, task);
      if (shown.isCancelled && !shown.running.has(task.id)) {
        void this._server.cancel(task.id);
      }
      this._watch(shown, task.id);
      this._update(notebook, shown, task.message);
      return;
    }
    const shown = this._shown.get(notebook);
    window.clearTimeout(shown?.running.get(task.id));
    if (shown?.running.delete(task.id) && shown.running.size === 0) {
      this._shown.delete(notebook);
      this._end(notebook, shown.id, task);
    }
  }

  private _begin(notebook: Notebook, { message }: ITask): IShown {
    this.forget(notebook);
    const id = Notification.emit(line(notebook.name, message), 'in-progress', {
      autoClose: false,
      data: notebook.id,
      actions: [
        {
          label: 'Cancel',
          caption: 'Stop building this environment',
          callback: event => {
            event.preventDefault(); // The notification stays, and says when it is over.
            void this._cancel(notebook);
          }
        }
      ]
    });
    const shown = { id, running: new Map(), isCancelled: false, wasSeen: false };
    this._shown.set(notebook, shown);
    return shown;
  }

  private _watch({ running }: IShown, task: string): void {
    window.clearTimeout(running.get(task));
    running.set(task, window.setTimeout(() => void this._ask(task), SILENCE));
  }

  private _update(notebook: Notebook, shown: IShown, message: string): void {
    const isSeen = document.getElementById(shown.id) !== null;
    shown.wasSeen ||= isSeen;
    Notification.update({
      id: shown.id,
      message: line(notebook.name, message),
      // An update would open a toast again that the user has closed; with 0 it stays in the list.
      autoClose: shown.wasSeen && !isSeen ? 0 : false,
      ...(shown.isCancelled ? { actions: [] } : {})
    });
  }

  private _end(notebook: Notebook, id: string, { state, seconds, error }: ITask): void {
    const { name } = notebook;
    if (state === 'done') {
      if (seconds < BRIEF) {
        Notification.dismiss(id);
        return;
      }
      const message = line(name, `ready in ${seconds.toFixed(1)} s`);
      Notification.update({ id, message, type: 'success', autoClose: GLANCE, actions: [] });
      window.setTimeout(() => Notification.dismiss(id), GLANCE);
      return;
    }
    const again = {
      label: 'Try again',
      caption: 'Restart the kernel, which builds the environment',
      callback: () => start(notebook)
    };
    if (!error) {
      const message = line(name, 'building its environment was cancelled');
      Notification.update({ id, message, type: 'info', autoClose: false, actions: [again] });
      return;
    }
    const details = {
      label: 'Details',
      callback: (event: MouseEvent) => {
        event.preventDefault();
        void showReport(name, error);
      }
    };
    Notification.update({
      id,
      message: failure(name, error),
      type: 'error',
      autoClose: false,
      actions: [details, again]
    });
  }

  private async _cancel(notebook: Notebook): Promise<void> {
    const shown = this._shown.get(notebook);
    if (shown) {
      shown.isCancelled = true;
      this._update(notebook, shown, 'stopping');
      await Promise.all([...shown.running.keys()].map(id => this._server.cancel(id)));
    }
  }

  /** A build was silent for a while. One that the server has forgotten is not shown any longer. */
  private async _ask(id: string): Promise<void> {
    const answer = await this._server.task(id);
    if (answer !== 'forgotten' && answer !== 'unknown') {
      this._show(answer);
      return;
    }
    this._shown.forEach((shown, notebook) => {
      if (!shown.running.has(id)) {
        return;
      }
      if (answer === 'unknown') {
        this._watch(shown, id);
      } else if (shown.running.delete(id) && shown.running.size === 0) {
        this.forget(notebook);
      }
    });
  }

  private readonly _shown = new Map<Notebook, IShown>();
}

/** The server may not know the drive of a notebook that this page has open. */
function belongs(task: ITask, { context }: Notebook): boolean {
  return (
    [context.path, context.localPath].includes(task.path) ||
    (task.kernel_id !== null &&
      task.kernel_id === context.sessionContext.session?.kernel?.id)
  );
}

function start({ context: { sessionContext } }: Notebook): void {
  void (sessionContext.session?.kernel
    ? sessionContext.restartKernel()
    : sessionContext.changeKernel({ name: NIXENV }));
}

async function showReport(name: string, error: ITaskError): Promise<void> {
  const node = document.createElement('pre');
  node.textContent = report(error);
  await showDialog({
    title: `No environment for ${name}`,
    body: new Widget({ node }),
    buttons: [Dialog.okButton()]
  });
}
