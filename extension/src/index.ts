/**
 * The extension's one plugin. It waits for notebooks; until the first one is opened it does nothing.
 */
import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import type { DocumentRegistry } from '@jupyterlab/docregistry';
import type { INotebookModel } from '@jupyterlab/notebook';

import { Announcement } from './announcement';
import { Notebook } from './notebook';
import { Progress } from './progress';
import { Server } from './server';
import { Writer } from './writer';

const plugin: JupyterFrontEndPlugin<void> = {
  id: 'nixenv:notebooks',
  description:
    'Announces open notebooks, writes what their kernels change, shows how far their environments are.',
  autoStart: true,
  activate: (app: JupyterFrontEnd): void => {
    const server = new Server(app.serviceManager.serverSettings);
    const notebooks = new Map<DocumentRegistry.Context, Notebook>();
    let progress: Progress | null = null;

    // Not the notebook tracker: it tells of a notebook after an `await`, and Notebook 7 has none on
    // some of its pages. Document widgets are extended before their context begins to load.
    app.docRegistry.addWidgetExtension('Notebook', {
      createNew: (_widget, context) => {
        // Two views of one notebook share its context.
        if (notebooks.has(context)) {
          return;
        }
        const notebook = new Notebook(
          context as DocumentRegistry.IContext<INotebookModel>
        );
        notebooks.set(context, notebook);
        const shown = (progress ??= new Progress(
          server,
          app.serviceManager.events,
          () => Array.from(notebooks.values())
        ));
        context.disposed.connect(() => {
          notebooks.delete(context);
          shown.forget(notebook);
        });
        void new Announcement(notebook, server).first.then(() => shown.resume());
        new Writer(notebook);
      }
    });
  }
};

export default plugin;
