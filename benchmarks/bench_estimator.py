"""The estimators: fitting, predicting, score and memory on the spoken digits."""

import warnings

import numpy as np
from sklearn.model_selection import train_test_split

import fastgru
from benchmarks.peers.cores import count_cores
from benchmarks.timing import Timing
from fastgru.datasets import load_spoken_digits


class SpokenDigits(Timing):
    """A classifier of 3000 recordings of unequal length."""

    params = [1, 2]
    param_names = ("n_jobs",)

    def setup(self, n_jobs):
        if n_jobs > count_cores():
            raise NotImplementedError(f"{n_jobs} threads need as many cores")
        X, y = load_spoken_digits(return_X_y=True)
        scale = np.concatenate(X).std(axis=0)
        X = [recording / scale for recording in X]
        self.train, self.test, self.y_train, self.y_test = train_test_split(
            X, y, test_size=0.2, stratify=y, random_state=0
        )
        warnings.simplefilter("ignore")
        self.model = fastgru.GRUClassifier(
            64,
            batch_size=64,
            learning_rate_init=5e-3,
            max_iter=5,
            random_state=0,
            n_jobs=n_jobs,
        )
        # Compile, and be fitted for what follows.
        self.model.fit(self.train, self.y_train)

    def time_fit_5_epochs(self, n_jobs):
        self.model.fit(self.train, self.y_train)

    def time_predict(self, n_jobs):
        self.model.predict(self.test)

    def peakmem_fit_5_epochs(self, n_jobs):
        self.model.fit(self.train, self.y_train)

    def track_test_accuracy_after_5_epochs(self, n_jobs):
        return self.model.score(self.test, self.y_test)
